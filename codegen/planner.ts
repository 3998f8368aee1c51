/** The planner: from a simplified program to the ordered kernels and their memory. */
import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { Buffers } from "./buffers.js";
import { writeKernel } from "./emit/kernel/index.js";
import { rootsOf, withKept } from "./keep.js";
import type { Observer } from "./passes/pass.js";
import type { PlanBuffer, PlanKernel } from "./plan.js";
import { gradientName, type Program, resultOf } from "./program.js";
import { isCoarseFold, isRowValue } from "./ranks.js";
import { isSweep, type Schedule, type Slot, SWEEP, schedule } from "./schedule.js";

/** The kernels of a program, and where its results lie. */
export interface Planned {
  readonly sweeps: number;
  readonly kernels: readonly PlanKernel[];
  readonly buffers: readonly PlanBuffer[];
  /** The buffer of a result, by its name; the gradient of a row is one of them. */
  readonly resultBuffer: (name: string) => number;
  readonly statusBuffer: number;
}

export interface PlanningOptions {
  /** Number of the first kernel. */
  readonly firstKernel: number;
  readonly observer: Observer;
}

export function planned(program: Program, { firstKernel, observer }: PlanningOptions): Planned {
  const plan = withKept(program, schedule(program));
  const buffers = new Buffers(program, plan);
  const kept = keptRowValues(program, plan, buffers);
  const kernels = plan.slots.map((slot, i) =>
    writeKernel({
      id: `k${firstKernel + i}`,
      program,
      schedule: plan,
      slot,
      buffers,
      observer,
      kept: [...(kept.get(slot) ?? [])],
    }),
  );
  const row = program.rows?.leaf;
  const resultBuffer = (name: string): number => {
    if (row && name === gradientName(row)) return buffers.gradient(row).id;
    const { space, x } = resultOf(program, name);
    return (space === "batch" && isCoarseFold(x) ? buffers.foldResult(x) : buffers.store(x, space)).id;
  };
  return { sweeps: plan.sweeps, kernels, buffers: buffers.list, resultBuffer, statusBuffer: buffers.status().id };
}

/** Row values that a kernel needs after their sweep: a number per token is kept rather than recomputed. */
function keptRowValues(program: Program, { slots, ranks }: Schedule, buffers: Buffers): Map<Slot, Set<Expression>> {
  const kept = new Map<Slot, Set<Expression>>();
  const homes = new Map(slots.filter(isSweep).map((slot) => [slot.time / SWEEP, slot]));
  // From the last kernel to the first: a value that a kernel keeps, it must also be able to compute.
  for (const slot of [...slots].reverse()) {
    const sweep = isSweep(slot) ? slot.time / SWEEP : null;
    const isKnown = (x: Expression) => isCoarseFold(x) || buffers.isStoredBefore(x, slot) !== null;
    const isElsewhere = (x: Expression) => isRowValue(x) && ranks.rank(x) !== sweep;
    const roots = [...rootsOf(program, slot), ...(kept.get(slot) ?? [])];
    for (const x of topological(roots, (y) => isKnown(y) || isElsewhere(y))) {
      if (isKnown(x) || !isElsewhere(x)) continue;
      const home = homes.get(ranks.rank(x)) as Slot;
      if (!kept.has(home)) kept.set(home, new Set());
      kept.get(home)?.add(x);
      buffers.willStore(x, home);
    }
  }
  return kept;
}
