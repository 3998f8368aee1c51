/** The planner: from a simplified program to the ordered kernels and their memory. */

import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { isCoarseFold, isRowValue } from "../dsl/ops/index.js";
import { writeKernel } from "./emit/kernel/index.js";
import type { Observer } from "./passes/pass.js";
import { runRowPasses } from "./passes/rows/index.js";
import type { RowKernel } from "./passes/rows/record.js";
import { gradientName, type Program, resultOf } from "./program.js";
import { Buffers } from "./schedule/buffers.js";
import type { PlanBuffer, PlanKernel } from "./schedule/plan.js";
import { isSweep, type PlannedKernel, type Schedule, schedule } from "./schedule/schedule.js";
import { rootsOf, withSpilled } from "./schedule/spill.js";

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
  const plan = withSpilled(program, schedule(program));
  const buffers = new Buffers(program, plan);
  const spilled = spilledRowValues(program, plan, buffers);
  /** The work on rows of a sweep, after every pass. */
  const rowKernel = (kernel: PlannedKernel, id: string): RowKernel => {
    const { rows, splitGradient } = program;
    if (!rows) throw new Error(`"${program.name}" reads no rows`);
    const { ranks } = plan;
    const roots = [...rootsOf(program, kernel), ...(spilled.get(kernel) ?? [])];
    const values = topological(roots)
      .filter(isRowValue)
      .filter((x) => ranks.rank(x) === kernel.time.sweep && !buffers.isStoredBefore(x, kernel));
    const gradient = kernel.gradient ? splitGradient : null;
    return runRowPasses({ name: program.name, rows, roots, values, phaseOf: ranks.phase, gradient }, ({ name }, after) =>
      observer.rows?.(id, name, after),
    );
  };
  const kernels = plan.kernels.map((kernel, i) =>
    writeKernel({
      id: `k${firstKernel + i}`,
      program,
      schedule: plan,
      planned: kernel,
      buffers,
      spilled: [...(spilled.get(kernel) ?? [])],
      rows: isSweep(kernel) ? rowKernel(kernel, `k${firstKernel + i}`) : null,
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

/** Row values that a kernel needs after their sweep: a number per token is spilled rather than computed from the row again. */
function spilledRowValues(
  program: Program,
  { kernels, ranks }: Schedule,
  buffers: Buffers,
): ReadonlyMap<PlannedKernel, ReadonlySet<Expression>> {
  const spilled = new Map<PlannedKernel, Set<Expression>>();
  const sweeps = new Map(kernels.filter(isSweep).map((kernel) => [kernel.time.sweep, kernel]));
  // From the last kernel to the first: a value that a kernel spills, it must also be able to compute.
  for (const kernel of [...kernels].reverse()) {
    const sweep = isSweep(kernel) ? kernel.time.sweep : null;
    const isKnown = (x: Expression) => isCoarseFold(x) || buffers.isStoredBefore(x, kernel) !== null;
    const isElsewhere = (x: Expression) => isRowValue(x) && ranks.rank(x) !== sweep;
    const roots = [...rootsOf(program, kernel), ...(spilled.get(kernel) ?? [])];
    for (const x of topological(roots, (y) => isKnown(y) || isElsewhere(y))) {
      if (isKnown(x) || !isElsewhere(x)) continue;
      const home = sweeps.get(ranks.rank(x)) as PlannedKernel;
      if (!spilled.has(home)) spilled.set(home, new Set());
      spilled.get(home)?.add(x);
      buffers.willStore(x, home);
    }
  }
  return spilled;
}
