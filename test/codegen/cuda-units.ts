/** The translation units that the tests of CUDA text compile: every loss of the golden files and the training client's kernels. */
import { compilePlan } from "../../codegen/compile.js";
import { emitText, emitTogether, type KernelText, stepUnit } from "../../codegen/emit/index.js";
import type { Plan } from "../../codegen/loss-plan.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import { TRAINING_MODULE } from "../../runtime/training/kernels.js";
import { coreLosses, goldenLosses } from "./golden-losses.js";

export const ARCHITECTURES = ["sm_80", "sm_90", "sm_100", "sm_120"] as const;
export const DTYPES = ["bf16", "f16", "f32"] as const;
/** Some lanes of a warp, a block, and as many blocks as may be, to a row. */
export const VOCABS = { short: 1000, block: 10000, long: 131072 } as const;

/** Several losses in one unit, from logits and where they can be from `policy_logprobs`: a compiler starts once for all of them. */
function together(losses: readonly LossDefinition[], logits: LogitsDtype, vocab: number, architecture: string): KernelText {
  const plans: Plan[] = [];
  for (const loss of losses) {
    for (const from of wantsRows(loss) ? [logits] : [logits, null]) {
      const firstKernel = plans.reduce((count, plan) => count + plan.kernels.length, 0);
      plans.push(compilePlan({ loss, logits: from, firstKernel }).plan);
    }
  }
  return emitTogether(plans, { target: "cuda", architecture, vocab });
}

/** Whether a loss asks the row for more than the target's log-probability. */
function wantsRows(loss: LossDefinition): boolean {
  try {
    compilePlan({ loss, logits: null });
    return false;
  } catch (error) {
    if (error instanceof LosscError && error.code === "INPUT_MISSING") return true;
    throw error;
  }
}

export const core = (logits: LogitsDtype, vocab: number, architecture = "sm_90") =>
  together(Object.values(coreLosses), logits, vocab, architecture);
export const catalogue = (logits: LogitsDtype, vocab: number, architecture = "sm_90") =>
  together(Object.values(goldenLosses), logits, vocab, architecture);

/** One loss alone, as the runtime compiles it. */
export function alone(loss: LossDefinition, logits: LogitsDtype, vocab: number, architecture = "sm_90"): KernelText {
  return emitText(compilePlan({ loss, logits }).plan, { target: "cuda", architecture, vocab });
}

/** Steps that are no loss. */
export function training(): KernelText {
  return stepUnit({ target: "cuda", ...TRAINING_MODULE });
}
