/**
 * What kernels keep for later ones rather than have it computed again, and what is computed before a sweep rather than in it. Of a loss of a few
 * kernels it is nothing: a number computed twice costs less than one that goes through memory. Of many kernels, each would compute again what all
 * before it have.
 */
import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { gradientRootsOf } from "./entries.js";
import { isLeaf } from "./materialized.js";
import type { Program } from "./program.js";
import { isRowValue } from "./ranks.js";
import { isSweep, MOST_STORES, type Schedule, type Slot } from "./schedule.js";

/** Kernels up to which each computes for itself what an earlier one has computed. */
const FEW_KERNELS = 16;
/** And with more, so many operations. */
const AGAIN = 8;

/** The schedule with what is kept. */
export function withKept(program: Program, planned: Schedule): Schedule {
  if (planned.slots.length > FEW_KERNELS) keepShared(program, planned.slots);
  return planned;
}

/** What a slot's kernel computes, but for row values that are to be kept. */
export function rootsOf(program: Program, { stores, checks, gradient }: Slot): Expression[] {
  return [...stores, ...checks, ...(gradient ? gradientRootsOf(program) : [])];
}

/** Lets a kernel that computes what several later ones begin with store it. */
function keepShared(program: Program, slots: readonly Slot[]): void {
  /** Values in the elements of their own space: which kernel computes them first, and from when on they are stored. */
  const first = new Map<Expression, Slot>();
  const storedAt = new Map<Expression, number>();
  const keep = (x: Expression, slot: Slot) => {
    slot.stores.add(x);
    storedAt.set(x, slot.time);
  };
  for (const slot of slots) {
    const ends = (x: Expression) =>
      isLeaf(x) || (!isSweep(slot) && isRowValue(x)) || (storedAt.get(x) ?? Number.POSITIVE_INFINITY) < slot.time;
    const roots = rootsOf(program, slot);
    const computed = topological(roots, ends).filter((x) => !ends(x));
    const again = new Set(computed.filter((x) => first.has(x)));
    if (again.size > AGAIN) {
      const wanted = new Set([...roots, ...computed.filter((x) => !again.has(x)).flatMap(({ operands }) => operands)]);
      const border = [...again].filter((x) => wanted.has(x) && x.dtype === "f32");
      if (2 * border.length <= again.size)
        for (const x of border) {
          const earlier = first.get(x) as Slot;
          if (earlier.stores.size < MOST_STORES) keep(x, earlier);
        }
    }
    for (const x of computed) if (x.space === slot.space && !first.has(x)) first.set(x, slot);
    for (const x of slot.stores) if (x.space === slot.space && !storedAt.has(x)) storedAt.set(x, slot.time);
  }
}
