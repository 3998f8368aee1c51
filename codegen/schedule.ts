/**
 * Which kernel computes what. Time is a number: sweep k stands at k · SWEEP, the steps after it at k · SWEEP + 1, + 2, … A fold over tokens or sequences is
 * done by the kernel that computes its operand (`fold_tail` of the preludes), so the kernels follow from where the folds go.
 */
import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { SPACES } from "../dsl/spaces.js";
import { type LossGraph, neededOf, type Placed } from "./expand.js";
import type { ElementSpace } from "./plan.js";
import { isCoarseFold, isRowValue, type Ranks, ranksOf } from "./ranks.js";

export const SWEEP = 1000;

/** One kernel to be: what it stores and folds, in the elements of its space. */
export interface Slot {
  readonly time: number;
  readonly space: ElementSpace;
  readonly folds: Expression[];
  /** Values per element that leave the kernel. */
  readonly stores: Set<Expression>;
  readonly summands: Expression[];
  gradient: boolean;
}

export interface Schedule {
  readonly ranks: Ranks;
  readonly sweeps: number;
  /** In the order of execution. */
  readonly slots: readonly Slot[];
  /** When a fold's result is there: after the kernel at that time. */
  readonly foldTime: ReadonlyMap<Expression, number>;
}

export function schedule(graph: LossGraph): Schedule {
  const roots = neededOf(graph);
  const ranks = ranksOf(roots);
  const order = topological(roots);
  const gradient = graph.gradient as Expression;
  const fromLogits = graph.from === "logits";
  const sweeps = fromLogits ? Math.max(1, ...order.filter((x) => x.space === "vocab").map((x) => ranks.rank(x))) : 0;

  // The latest time at which a fold may be done: before the sweep whose vocabulary expressions need it, before the folds that need it.
  const latest = new Map<Expression, number>();
  const before = (x: Expression, time: number) => {
    for (const f of coarseFoldsIn(x)) latest.set(f, Math.min(latest.get(f) ?? Number.POSITIVE_INFINITY, time));
  };
  if (fromLogits) before(gradient, sweeps * SWEEP - 1);
  for (const x of [...order].reverse()) {
    if (isRowValue(x)) before(x.operands[0] as Expression, ranks.rank(x) * SWEEP - 1);
    else if (isCoarseFold(x)) before(x.operands[0] as Expression, (latest.get(x) ?? Number.POSITIVE_INFINITY) - 1);
  }

  const foldTime = new Map<Expression, number>();
  const slots = new Map<string, Slot>();
  const slotAt = (time: number, space: ElementSpace): Slot => {
    const key = `${time}/${space}`;
    let slot = slots.get(key);
    if (!slot) {
      slot = { time, space, folds: [], stores: new Set(), summands: [], gradient: false };
      slots.set(key, slot);
    }
    return slot;
  };
  /** The first time at which an element of the space can know x, with sweeps preferred where they come early enough. */
  const timeFor = (x: Expression, space: ElementSpace, deadline: number): number => {
    let known = 0; // everything it needs is there after this time
    let inSweep = 0;
    for (const y of frontier(x)) {
      if (isRowValue(y)) inSweep = Math.max(inSweep, ranks.rank(y) * SWEEP);
      else if (isCoarseFold(y)) known = Math.max(known, foldTime.get(y) as number);
    }
    if (space === "token") {
      const sweep = Math.max(SWEEP, inSweep, (Math.floor(known / SWEEP) + 1) * SWEEP);
      if (sweep <= sweeps * SWEEP && sweep <= deadline) return sweep;
    }
    return Math.max(known, inSweep) + 1;
  };

  for (const f of order.filter(isCoarseFold)) {
    const [x] = f.operands as [Expression];
    const space = f.attribute.from as ElementSpace;
    const time = timeFor(x, space, latest.get(f) ?? Number.POSITIVE_INFINITY);
    foldTime.set(f, time);
    const slot = slotAt(time, space);
    slot.folds.push(f);
    slot.stores.add(x);
  }
  for (const { space, x } of graph.summands) slotAt(timeFor(x, space, Number.POSITIVE_INFINITY), space).summands.push(x);
  const perToken: Placed = { space: "token", x: fromLogits ? graph.logprobs : gradient };
  for (const { space, x } of [...graph.outputs.values(), perToken]) {
    slotAt(timeFor(x, space, Number.POSITIVE_INFINITY), space).stores.add(x);
  }
  // Scalars that are no fold themselves are computed by one last step.
  const scalars = [graph.loss, ...graph.metrics.values()].filter((x) => !isCoarseFold(x));
  if (scalars.length > 0) {
    const last = slotAt(Math.max(...scalars.map((x) => timeFor(x, "batch", Number.POSITIVE_INFINITY))), "batch");
    for (const x of scalars) last.stores.add(x);
  }
  if (fromLogits) {
    for (let k = 1; k <= sweeps; k++) slotAt(k * SWEEP, "token");
    slotAt(sweeps * SWEEP, "token").gradient = true;
  }
  return {
    ranks,
    sweeps,
    slots: [...slots.values()].sort((a, b) => a.time - b.time || spaceOrder(a.space) - spaceOrder(b.space)),
    foldTime,
  };
}

const spaceOrder = (space: ElementSpace) => SPACES.indexOf(space);

const isKept = (x: Expression) => isCoarseFold(x) || isRowValue(x);

/** Where computing x would stop: folds and row values. */
function frontier(x: Expression): Expression[] {
  return topological([x], isKept).filter(isKept);
}

/** The folds over tokens and coarser that x needs, through rows but not through other such folds. */
function coarseFoldsIn(x: Expression): Expression[] {
  return topological([x], isCoarseFold).filter(isCoarseFold);
}
