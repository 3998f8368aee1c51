/** A plan as the text of its kernels for one target. */
import type { Plan, PlanKernel } from "../schedule/plan.js";
import { rowBytesOf } from "../schedule/traffic.js";
import { TYPES } from "./dtypes.js";
import { type Sweep, TARGETS, type TargetName } from "./targets/index.js";
import { commentText } from "./text.js";
import { type KernelText, type UnitKernel, unitText } from "./unit.js";

/** Characters of a plan's kernels from which on they are long: ten times what those of the losses that ship have. */
const LONG = 64_000;

export interface EmitOptions extends Pick<Sweep, "architecture" | "spread"> {
  readonly target: TargetName;
  /** Entries of a row. */
  readonly vocab: number;
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

function unitKernel(plan: Plan, { id, body, kind, arguments: list, exchanged }: PlanKernel, options: EmitOptions): UnitKernel {
  const target = TARGETS[options.target];
  if (kind === "step") return { id, body, kind, entry: target.step };
  const shape = { vocab: options.vocab, entryBytes: rowBytesOf(list, plan.buffers), values: exchanged };
  const { architecture, spread } = options;
  return { id, body, kind, entry: target.sweep({ shape, architecture, long: body.length > LONG, spread }) };
}

function headerOf(plan: Plan, target: TargetName): string[] {
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
