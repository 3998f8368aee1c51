/**
 * Which kernel computes what. Time is a number: sweep k stands at k · SWEEP, the steps after it at k · SWEEP + 1, + 2, … A fold over tokens or sequences is
 * done by the kernel that computes its operand (`fold_tail` of the preludes), so the kernels follow from where the folds go.
 */
import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import type { CoarseFold } from "../dsl/ops/index.js";
import { SPACES } from "../dsl/spaces.js";
import type { ElementSpace } from "./plan.js";
import { elementResults, neededOf, type Program, scalarResults } from "./program.js";
import { isCoarseFold, isRowValue, type Ranks, ranksOf } from "./ranks.js";

export const SWEEP = 1_000_000;
/** Kernels that would stand at one time because one would be too long follow one another at this distance; what waits for any of them stands after them all. */
const PART = 2 ** -20;

/** Values that a kernel stores, at most. A compiler takes longer than in proportion to a function's length, and a kernel of CUDA has room for so many pointers. */
export const MOST_STORES = 64;

/** One kernel to be: the values that it stores and folds, in the elements of its space. */
export interface Slot {
  readonly time: number;
  readonly space: ElementSpace;
  readonly folds: CoarseFold[];
  /** Values per element that leave the kernel. */
  readonly stores: Set<Expression>;
  readonly checks: Expression[];
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

/** The slots of a plan while they are filled. */
class Slots {
  readonly list: Slot[] = [];
  /** By time and space, the slot that is filled, and which slot stores what. */
  private readonly places = new Map<string, { last: Slot; readonly storing: Map<Expression, Slot> }>();

  /** The slot at that time that stores x, or has room for it. A sweep is one kernel however much it stores. */
  at(time: number, space: ElementSpace, x?: Expression): Slot {
    const key = `${time}/${space}`;
    const place = this.places.get(key);
    const known = x && place?.storing.get(x);
    if (known) return known;
    if (place && (place.last.stores.size < MOST_STORES || isSweep(place.last))) return place.last;
    const slot = {
      time: place ? place.last.time + PART : time,
      space,
      folds: [],
      stores: new Set<Expression>(),
      checks: [],
      gradient: false,
    };
    this.list.push(slot);
    if (place) place.last = slot;
    else this.places.set(key, { last: slot, storing: new Map() });
    return slot;
  }

  store(time: number, space: ElementSpace, x: Expression): Slot {
    const slot = this.at(time, space, x);
    slot.stores.add(x);
    this.places.get(`${time}/${space}`)?.storing.set(x, slot);
    return slot;
  }

  /** Whether the sweep at that time stores enough already, and not x. */
  isFull(time: number, x: Expression): boolean {
    const place = this.places.get(`${time}/token`);
    return place !== undefined && place.last.stores.size >= MOST_STORES && !place.storing.has(x);
  }
}

/** Whether the slot is a sweep's. */
export const isSweep = ({ time }: Slot): boolean => time % SWEEP === 0;

export function schedule(program: Program): Schedule {
  const roots = neededOf(program);
  const ranks = ranksOf(roots);
  const order = topological(roots);
  const { rowGradient } = program;
  const rows = order.filter((x) => x.space === "vocab");
  const sweeps = program.rows ? rows.reduce((most, x) => Math.max(most, ranks.rank(x)), 1) : 0;
  const latest = latestTimes(order, ranks, rowGradient ? [rowGradient, sweeps * SWEEP - 1] : null);

  const foldTime = new Map<Expression, number>();
  const slots = new Slots();
  /** When everything that x needs is there: after which step, and in which sweep. */
  const needs = new Map<Expression, { readonly known: number; readonly inSweep: number }>();
  /** The first time at which an element of the space can know x, with sweeps preferred where they come early enough. */
  const timeFor = (x: Expression, space: ElementSpace, deadline = Number.POSITIVE_INFINITY): number => {
    const { known, inSweep } = needs.get(x) as { known: number; inSweep: number };
    if (space === "token") {
      const sweep = Math.max(SWEEP, inSweep, (Math.floor(known / SWEEP) + 1) * SWEEP);
      if (sweep <= sweeps * SWEEP && sweep <= deadline && (always.has(x) || !slots.isFull(sweep, x))) return sweep;
    }
    return Math.max(known, inSweep) + 1;
  };
  const results = elementResults(program);
  const always = new Set(results.flatMap((result) => (result.always ? [result.x] : [])));

  for (const x of order) {
    if (isRowValue(x)) {
      needs.set(x, { known: 0, inSweep: ranks.rank(x) * SWEEP });
    } else if (isCoarseFold(x)) {
      const [operand] = x.operands;
      const space = x.attribute.from;
      const time = timeFor(operand, space, latest.get(x));
      foldTime.set(x, time);
      needs.set(x, { known: time, inSweep: 0 });
      slots.store(time, space, operand).folds.push(x);
    } else {
      const own = { known: 0, inSweep: 0 };
      for (const y of x.operands) {
        const { known, inSweep } = needs.get(y) as typeof own;
        own.known = Math.max(own.known, known);
        own.inSweep = Math.max(own.inSweep, inSweep);
      }
      needs.set(x, own);
    }
  }
  for (const { space, x } of program.checks) slots.at(timeFor(x, space), space, x).checks.push(x);
  for (const { space, x } of results) slots.store(timeFor(x, space), space, x);
  // Scalars that are no fold themselves are computed by the last steps.
  const scalars = scalarResults(program)
    .map(({ x }) => x)
    .filter((x) => !isCoarseFold(x));
  const last = scalars.reduce((most, x) => Math.max(most, timeFor(x, "batch")), 0);
  for (const x of scalars) slots.store(last, "batch", x);
  for (let k = 1; k <= sweeps; k++) slots.at(k * SWEEP, "token");
  if (rowGradient) slots.at(sweeps * SWEEP, "token").gradient = true;
  return { ranks, sweeps, slots: slots.list.sort(byTime), foldTime };
}

/**
 * The latest time at which a fold may be done: before the sweep whose vocabulary expressions need it, before the folds that need it. `goal`: what is needed, and
 * after what.
 */
function latestTimes(
  order: readonly Expression[],
  ranks: Ranks,
  goal: readonly [x: Expression, time: number] | null,
): ReadonlyMap<Expression, number> {
  const latest = new Map<Expression, number>(goal ? [goal] : []);
  for (const x of [...order].reverse()) {
    const own = latest.get(x) ?? Number.POSITIVE_INFINITY;
    const ofOperands = isRowValue(x) ? Math.min(own, ranks.rank(x) * SWEEP - 1) : isCoarseFold(x) ? own - 1 : own;
    if (ofOperands === Number.POSITIVE_INFINITY) continue;
    for (const y of x.operands) latest.set(y, Math.min(latest.get(y) ?? Number.POSITIVE_INFINITY, ofOperands));
  }
  return latest;
}

/** The order of execution. */
export const byTime = (a: Slot, b: Slot): number => a.time - b.time || SPACES.indexOf(a.space) - SPACES.indexOf(b.space);
