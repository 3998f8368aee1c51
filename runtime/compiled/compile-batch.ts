/** Many losses in one translation unit: one run of the compiler and one module for all of them. */
import { compilePlan } from "../../codegen/compile.js";
import { emitTogether } from "../../codegen/emit/index.js";
import type { Plan } from "../../codegen/loss-plan.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import type { CompiledLoss, Device } from "../devices/device.js";
import { AddonDevice } from "../devices/native-device.js";
import { checkConfig } from "../inputs/config.js";
import { Executable } from "./executable.js";
import { NativeCompiledLoss } from "./native-loss.js";

export interface BatchOptions {
  /** dtype of the logits; null where the callers bring `policy_logprobs`. */
  readonly dtype: LogitsDtype | null;
  /** Entries of the rows that will come, one number or several; left out for `policy_logprobs`. Rows of other lengths are compiled when they come. */
  readonly vocab?: number | readonly number[];
}

/**
 * Compiles losses into one unit per geometry, through the same cache and the same calls as {@link Device.compile}. A compiler's start costs more than
 * a kernel, so a hundred small losses together are made in a fraction of the time. On `reference` the losses are compiled one by one.
 *
 * @throws LosscError what tracing throws, `COMPILE_FAILED`, `INPUT_LENGTH` where no vocabulary is given for logits.
 */
export async function compileBatch(
  device: Device,
  losses: readonly LossDefinition[],
  { dtype, vocab = [] }: BatchOptions,
): Promise<CompiledLoss[]> {
  const lossOptions = dtype === null ? {} : { dtype };
  if (!(device instanceof AddonDevice)) return Promise.all(losses.map((loss) => device.compile(loss, lossOptions)));
  device.alive();
  const vocabularies = dtype === null ? [0] : [vocab].flat();
  if (vocabularies.length === 0) throw new LosscError("INPUT_LENGTH", "compileBatch() of losses from logits needs vocab");
  const compiled = losses.map((loss) => new NativeCompiledLoss(device, loss, lossOptions));
  let firstKernel = 0;
  const plans = losses.map((loss) => {
    const { plan } = compilePlan({ loss, logits: dtype, statics: checkConfig(loss).statics, firstKernel });
    firstKernel += plan.kernels.length;
    return plan;
  });
  for (const entries of plans.length > 0 ? vocabularies : []) {
    const { target, architecture } = device;
    const text = emitTogether(plans, { target, architecture, vocab: entries });
    // Rows of different lengths mostly share a geometry, hence a text, hence a module.
    const leases = await Promise.all(plans.map(() => device.lease(text)));
    leases.forEach((lease, i) => {
      compiled[i]?.seed(dtype, entries, new Executable(plans[i] as Plan, lease.module), lease);
    });
  }
  return compiled;
}
