/** A plan as the text of its kernels for one target. */
import { geometryFor } from "./geometry.js";
import type { KernelText, LogitsDtype, Plan, Target } from "./plan.js";
import { commentText } from "./text.js";
import { unitText } from "./unit.js";

export { preludeText } from "./preludes.js";
export { KERNELS_MARK, PRELUDE_MARK, stepUnit } from "./unit.js";

const LOGIT: Record<LogitsDtype, string> = { f32: "float", bf16: "bf16", f16: "f16" };

export interface EmitOptions {
  readonly target: Target;
  /** `sm_90` and the like for cuda; the text is the same for all, so far. */
  readonly architecture: string;
  /** Entries of a row; chooses the geometry. */
  readonly vocab: number;
}

/** The complete text of a plan's kernels: one translation unit that the target's compiler takes as it is. */
export function emitText(plan: Plan, options: EmitOptions): KernelText {
  return emitTogether([plan], options);
}

/** Several plans of one logits dtype in one translation unit; their kernels are numbered apart (`firstKernel`). */
export function emitTogether(plans: readonly Plan[], { target, vocab }: EmitOptions): KernelText {
  return unitText({
    target,
    header: plans.flatMap((plan) => headerOf(plan, target)),
    geometry: geometryFor(target, vocab),
    logit: LOGIT[plans[0]?.logits ?? "f32"],
    kernels: plans.flatMap(({ kernels }) => kernels.map(({ id, body, kind }) => ({ id, body, entry: kind }))),
  });
}

function headerOf(plan: Plan, target: Target): string[] {
  const { bytes } = plan;
  const rows = plan.logits === null ? "" : `${bytes.perEntry} bytes per vocabulary entry, `;
  const makes =
    plan.logits === null
      ? "policy_logprobs in; loss and their gradient out"
      : `${plan.logits} logits in; loss, logprobs and the gradient of the logits out`;
  const count = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  return [
    `lossc, ${target}: the loss "${commentText(plan.loss)}" and its gradient.`,
    `${makes}, in ${count(plan.sweeps, "sweep")} and ${count(plan.steps, "step")}.`,
    `A token moves ${rows}${bytes.perToken} bytes beside.`,
  ];
}
