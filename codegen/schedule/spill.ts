/**
 * Values that kernels spill for later kernels, which then load them rather than compute them again. A loss of a few kernels spills nothing but row
 * values: a number computed twice costs less than one that goes through memory. Of many kernels, each would compute again what all before it have.
 */

import type { Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { isRowValue } from "../../dsl/ops/index.js";
import { gradientRootsOf, type Program } from "../program.js";
import { isFree } from "./materialized.js";
import { isSweep, MOST_STORES, type PlannedKernel, type Schedule } from "./schedule.js";
import { isBefore, type Time } from "./time.js";

/** Kernels up to which each computes for itself what an earlier one has computed. */
const FEW_KERNELS = 16;
/** With more kernels, the operations up to which each computes them for itself. */
const FEW_OPERATIONS = 8;

/** The schedule with what kernels spill for one another. */
export function withSpilled(program: Program, planned: Schedule): Schedule {
  if (planned.kernels.length > FEW_KERNELS) spillShared(program, planned.kernels);
  return planned;
}

/** The expressions that a kernel computes, but for row values that it spills. */
export function rootsOf(program: Program, { stores, checks, gradient }: PlannedKernel): Expression[] {
  return [...stores, ...checks, ...(gradient ? gradientRootsOf(program) : [])];
}

/** Lets a kernel that computes what several later ones begin with store it. */
function spillShared(program: Program, kernels: readonly PlannedKernel[]): void {
  /** Values in the elements of their own space: which kernel computes them first, and from when on they are stored. */
  const first = new Map<Expression, PlannedKernel>();
  const storedAt = new Map<Expression, Time>();
  const spill = (x: Expression, kernel: PlannedKernel) => {
    kernel.stores.add(x);
    storedAt.set(x, kernel.time);
  };
  for (const kernel of kernels) {
    const isStored = (x: Expression) => {
      const time = storedAt.get(x);
      return time !== undefined && isBefore(time, kernel.time);
    };
    const ends = (x: Expression) => isFree(x) || (!isSweep(kernel) && isRowValue(x)) || isStored(x);
    const roots = rootsOf(program, kernel);
    const computed = topological(roots, ends).filter((x) => !ends(x));
    const again = new Set(computed.filter((x) => first.has(x)));
    if (again.size > FEW_OPERATIONS) {
      const wanted = new Set([...roots, ...computed.filter((x) => !again.has(x)).flatMap(({ operands }) => operands)]);
      const border = [...again].filter((x) => wanted.has(x) && x.dtype === "f32");
      if (2 * border.length <= again.size)
        for (const x of border) {
          const earlier = first.get(x) as PlannedKernel;
          if (earlier.stores.size < MOST_STORES) spill(x, earlier);
        }
    }
    for (const x of computed) if (x.space === kernel.space && !first.has(x)) first.set(x, kernel);
    for (const x of kernel.stores) if (x.space === kernel.space && !storedAt.has(x)) storedAt.set(x, kernel.time);
  }
}
