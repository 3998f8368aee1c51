/** The translation units that the tests of CUDA text compile: every loss of the golden files and the training client's kernels. */
import { compilePlan } from "../../codegen/compile.js";
import { emitText, emitTogether, stepUnit } from "../../codegen/emit.js";
import type { KernelText, LogitsDtype, Plan } from "../../codegen/plan.js";
import { TRAINING_KERNELS } from "../../runtime/training/kernels.js";
import { goldenLosses } from "./golden-losses.js";

export const ARCHITECTURES = ["sm_80", "sm_90", "sm_100", "sm_120"] as const;
export const DTYPES = ["bf16", "f16", "f32"] as const;
/** A warp, a block of eight warps and one of sixteen to a row. */
export const VOCABS = { warp: 1000, block: 10000, "large block": 131072 } as const;

/** All losses in one unit, from logits and from `policy_logprobs`: a compiler starts once for all of them. */
export function everything(logits: LogitsDtype, vocab: number): KernelText {
  const plans: Plan[] = [];
  for (const from of [logits, null]) {
    for (const loss of Object.values(goldenLosses)) {
      const firstKernel = plans.reduce((count, plan) => count + plan.kernels.length, 0);
      plans.push(compilePlan({ loss, logits: from, firstKernel }).plan);
    }
  }
  return emitTogether(plans, { target: "cuda", architecture: "sm_90", vocab });
}

/** One loss alone, as the runtime compiles it. */
export function alone(name: keyof typeof goldenLosses, logits: LogitsDtype, vocab: number): KernelText {
  return emitText(compilePlan({ loss: goldenLosses[name], logits }).plan, { target: "cuda", architecture: "sm_90", vocab });
}

/** Steps that are no loss. */
export function training(): KernelText {
  return stepUnit({ target: "cuda", architecture: "sm_90", comment: "training", kernels: TRAINING_KERNELS });
}
