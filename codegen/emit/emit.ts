/** A plan as the text of its kernels for one target. */
import type { KernelPlan, PlanBuffer, PlanKernel } from "../schedule/plan.js";
import { rowBytesOf } from "../schedule/traffic.js";
import { type Sweep, TARGETS, type TargetName } from "./targets/index.js";
import { commentText } from "./text.js";
import { type KernelText, type UnitKernel, unitText } from "./unit.js";

/** Characters of a plan's kernels from which on they are long: ten times what they are of the losses that ship. */
const LONG = 64_000;

export interface EmitOptions extends Pick<Sweep, "architecture" | "spread"> {
  readonly target: TargetName;
  /** Entries of a row. */
  readonly vocab: number;
}

/** The complete text of a plan's kernels: one translation unit that the target's compiler takes as it is. */
export function emitText(plan: KernelPlan, options: EmitOptions): KernelText {
  return emitTogether([plan], options);
}

/** Several plans in one translation unit; their kernels are numbered apart (`firstKernel`). */
export function emitTogether(plans: readonly KernelPlan[], options: EmitOptions): KernelText {
  const { target } = options;
  return unitText({
    target,
    header: plans.flatMap((plan) => headerOf(plan, target)),
    kernels: plans.flatMap((plan) => plan.kernels.map((kernel) => unitKernel(plan, kernel, options))),
    long: plans.some(({ kernels }) => kernels.reduce((sum, { body }) => sum + body.length, 0) > LONG),
  });
}

function unitKernel(
  plan: KernelPlan,
  { id, body, kind, arguments: list, exchanged }: PlanKernel,
  options: EmitOptions,
): UnitKernel {
  const target = TARGETS[options.target];
  if (kind === "step") return { id, body, kind, entry: target.step };
  const shape = { vocab: options.vocab, entryBytes: rowBytesOf(list, plan.buffers), values: exchanged };
  const { architecture, spread } = options;
  return { id, body, kind, entry: target.sweep({ shape, architecture, long: body.length > LONG, spread }) };
}

function headerOf({ name, sweeps, steps, buffers, bytes }: KernelPlan, target: TargetName): string[] {
  const count = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const named = (role: PlanBuffer["role"]) =>
    buffers.filter((buffer) => buffer.role === role).map((buffer) => `${commentText(buffer.name)} (${buffer.dtype})`);
  const rows = bytes.perEntry > 0 ? `${bytes.perEntry} bytes per entry of its row and ` : "";
  return [
    `lossc, ${target}: the kernels of "${commentText(name)}", ${count(sweeps, "sweep")} and ${count(steps, "step")}.`,
    `They read ${named("input").join(", ")}.`,
    `They give ${named("result").join(", ")}.`,
    `A token moves ${rows}${bytes.perToken}${rows ? " more" : " bytes"}.`,
  ];
}
