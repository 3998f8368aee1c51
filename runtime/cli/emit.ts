/** `lossc emit`. Opens no device and needs no addon. */
import { compilePlan } from "../../codegen/compile.js";
import { emitText, type TargetName } from "../../codegen/emit/index.js";
import { passesText } from "../../codegen/explain/passes.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
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
  readonly passes?: true;
}

/** Prints the complete text of the loss's kernels, its plan, or what each pass makes of it. */
export async function emit(reference: string, options: EmitOptions): Promise<void> {
  const { target, dtype, arch, vocab } = options;
  const loss = withConfig(await findLoss(reference), options.config);
  if (options.passes) return write(passesText(loss, dtype));
  const { plan } = compilePlan({ loss, logits: dtype });
  if (options.plan) return write(`${JSON.stringify(plan, null, 2)}\n`);
  const { text } = emitText(plan, { target, architecture: arch, vocab });
  await write(text.endsWith("\n") ? text : `${text}\n`);
}
