/** `lossc emit`. Opens no device and needs no addon. */
import { compilePlan } from "../../codegen/compile.js";
import { emitText, type TargetName } from "../../codegen/emit/index.js";
import type { LogitsDtype } from "../../codegen/schedule/plan.js";
import type { ConfigValues } from "../devices/device.js";
import { withConfig } from "../inputs/config.js";
import { findLoss } from "../modules/find.js";
import { write } from "./stream.js";

export interface EmitOptions {
  readonly config?: ConfigValues;
  readonly target: TargetName;
  readonly dtype: LogitsDtype;
  readonly arch: string;
  readonly vocab: number;
  readonly plan?: true;
}

/** Prints the complete text of the loss's kernels, or its plan. */
export async function emit(reference: string, options: EmitOptions): Promise<void> {
  const { target, dtype, arch, vocab } = options;
  const { plan } = compilePlan({ loss: withConfig(await findLoss(reference), options.config), logits: dtype });
  if (options.plan) return write(`${JSON.stringify(plan, null, 2)}\n`);
  const { text } = emitText(plan, { target, architecture: arch, vocab });
  await write(text.endsWith("\n") ? text : `${text}\n`);
}
