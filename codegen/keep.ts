/**
 * What kernels keep for later ones rather than have it computed again, and what is computed before a sweep rather than in it. Of a loss of a few
 * kernels it is nothing: a number computed twice costs less than one that goes through memory. Of many kernels, each would compute again what all
 * before it have.
 */
import { constantValue, type Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { isPerEntry } from "../dsl/spaces.js";
import type { Program } from "./program.js";
import { isCoarseFold, isRowValue, type Ranks } from "./ranks.js";
import { byTime, isSweep, MOST_STORES, type Schedule, type Slot, SWEEP } from "./schedule.js";

/** Operations per token, known before a sweep, up to which the sweep does them itself: in a step a compiler takes a part of the time for them. */
const FEW_OPERATIONS = 64;
/** Kernels up to which each computes for itself what an earlier one has computed. */
const FEW_KERNELS = 16;
/** And with more, so many operations. */
const AGAIN = 8;

/** The schedule with what is kept. */
export function withKept(program: Program, planned: Schedule): Schedule {
  const early = planned.slots.filter(isSweep).flatMap((slot) => beforeSweep(program, planned.ranks, slot));
  const slots = [...planned.slots, ...early].sort(byTime);
  if (slots.length > FEW_KERNELS) keepShared(program, slots);
  return { ...planned, slots };
}

/** What a slot's kernel computes, but for row values that are to be kept. */
export function rootsOf(program: Program, slot: Slot): Expression[] {
  const own = [...slot.stores, ...slot.checks];
  const gradient = slot.gradient ? program.splitGradient : null;
  if (!gradient) return own;
  const { offTarget, target, factors } = gradient;
  return [...own, offTarget, target, ...factors];
}

const isLeaf = (x: Expression) => x.operands.length === 0 || constantValue(x) !== undefined || isCoarseFold(x);

/** The step before a sweep that computes what is long of what the sweep needs and is known by then. */
function beforeSweep(program: Program, ranks: Ranks, sweep: Slot): Slot[] {
  const number = sweep.time / SWEEP;
  const isEarly = (x: Expression) => !isPerEntry(x.space) && !isRowValue(x) && ranks.rank(x) < number;
  const found = new Set<Expression>();
  for (const x of topological(rootsOf(program, sweep), isCoarseFold)) {
    if (isCoarseFold(x) || isEarly(x)) continue;
    for (const y of x.operands) if (y.space === "token" && y.dtype === "f32" && isEarly(y) && !isLeaf(y)) found.add(y);
  }
  const long = [...found].filter((x) => operationsOf([x]) > FEW_OPERATIONS);
  // Numbers that share most of what they are made of would each go through memory for little.
  if (long.length === 0 || operationsOf(long) < FEW_OPERATIONS * long.length) return [];
  return [{ time: sweep.time - 0.5, space: "token", folds: [], stores: new Set(long), checks: [], gradient: false }];
}

function operationsOf(roots: readonly Expression[]): number {
  const ends = (x: Expression) => isLeaf(x) || isRowValue(x);
  return topological(roots, ends).filter((x) => !ends(x)).length;
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
