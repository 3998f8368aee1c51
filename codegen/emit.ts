/** A plan as the text of its kernels for one target. */
import { TYPES } from "./dtypes.js";
import { type RowShape, rowsAtOnce, type Spread, spreadOf } from "./geometry.js";
import type { KernelText, Plan, PlanKernel, Target } from "./plan.js";
import { commentText } from "./text.js";
import { rowBytesOf } from "./traffic.js";
import { unitText } from "./unit.js";

export { preludeText } from "./preludes.js";
export { ENTRIES_MARK, KERNELS_MARK, PRELUDE_MARK, stepUnit } from "./unit.js";

/** Characters of a plan's kernels from which on they are long: ten times what those of the losses that ship have. */
const LONG = 64_000;

export interface EmitOptions {
  readonly target: Target;
  /** `sm_90` and the like for cuda; with the vocabulary it chooses the geometry. The emulated device has that of `sm_90`. */
  readonly architecture: string;
  /** Entries of a row. */
  readonly vocab: number;
  /** Another geometry than the table's, to measure. */
  readonly spread?: ((shape: RowShape) => Spread) | undefined;
}

/** The complete text of a plan's kernels: one translation unit that the target's compiler takes as it is. */
export function emitText(plan: Plan, options: EmitOptions): KernelText {
  return emitTogether([plan], options);
}

/** Several plans of one logits dtype in one translation unit; their kernels are numbered apart (`firstKernel`). */
export function emitTogether(plans: readonly Plan[], options: EmitOptions): KernelText {
  const { target } = options;
  return unitText({
    target,
    header: plans.flatMap((plan) => headerOf(plan, target)),
    logit: TYPES[plans[0]?.logits ?? "f32"],
    kernels: plans.flatMap((plan) => plan.kernels.map((kernel) => unitKernel(plan, kernel, options))),
    long: plans.some(({ kernels }) => kernels.reduce((sum, { body }) => sum + body.length, 0) > LONG),
  });
}

function unitKernel(
  plan: Plan,
  { id, body, kind, arguments: list, exchanged }: PlanKernel,
  { target, architecture, vocab, spread }: EmitOptions,
) {
  const kernel = { id, body, entry: kind };
  if (kind !== "sweep") return kernel;
  const shape = { vocab, entryBytes: rowBytesOf(list, plan.buffers), values: exchanged };
  // What rows do side by side a compiler writes lane by lane where there is no instruction for it.
  if (target === "cpu") return { ...kernel, rows: body.length > LONG ? 1 : rowsAtOnce(shape) };
  const planned = spread?.(shape) ?? spreadOf(target === "emulated" ? "sm_90" : architecture, shape);
  return { ...kernel, values: exchanged, spread: planned };
}

function headerOf(plan: Plan, target: Target): string[] {
  const { bytes } = plan;
  const rows = plan.logits === null ? "" : `${bytes.perEntry} bytes per vocabulary entry and `;
  const makes =
    plan.logits === null
      ? "policy_logprobs in; loss and their gradient out"
      : `${plan.logits} logits in; loss, logprobs and the gradient of the logits out`;
  const count = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  return [
    `lossc, ${target}: the loss "${commentText(plan.loss)}" and its gradient.`,
    `${makes}, in ${count(plan.sweeps, "sweep")} and ${count(plan.steps, "step")}.`,
    `A token moves ${rows}${bytes.perToken}${rows ? " more" : " bytes"}.`,
  ];
}
