/**
 * Which kernel computes which values, and when. A fold over tokens or sequences is done by the kernel that computes its operand (`fold_tail` of the
 * preludes), so the kernels follow from where the folds go.
 */
import type { Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { type CoarseFold, isCoarseFold, isRowValue } from "../../dsl/ops/index.js";
import { isRow, SPACES, type Space } from "../../dsl/spaces.js";
import { elementResults, gradientRootsOf, neededOf, type Program, scalarResults } from "../program.js";
import { materializedOf } from "./materialized.js";
import type { ElementSpace } from "./plan.js";
import { type Ranks, ranksOf } from "./ranks.js";
import { compareTimes, later, START, stepAfter, sweepTime, type Time } from "./time.js";

/**
 * Values that a kernel stores, at most. A compiler takes longer than in proportion to a function's length, and a kernel of CUDA has room for so many
 * pointers.
 */
export const MOST_STORES = 64;

/** A kernel before it is written: the values that it stores and folds, in the elements of its space. */
export interface PlannedKernel {
  readonly time: Time;
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
  readonly kernels: readonly PlannedKernel[];
  /** The number of folds that kernels do. */
  readonly folds: number;
}

/** Whether the kernel is a sweep. */
export const isSweep = ({ time }: PlannedKernel): boolean => time.step === 0;

/** The kernels of a plan while values are given to them. */
class OpenKernels {
  readonly list: PlannedKernel[] = [];
  /** By time and space, the kernel that takes further values, and which kernel stores what. */
  private readonly places = new Map<string, { last: PlannedKernel; readonly storing: Map<Expression, PlannedKernel> }>();

  /** The kernel at that time that stores x, or has room for it. A sweep is one kernel however much it stores. */
  at(time: Time, space: ElementSpace, x?: Expression): PlannedKernel {
    const key = keyOf(time, space);
    const place = this.places.get(key);
    const known = x && place?.storing.get(x);
    if (known) return known;
    if (place && (place.last.stores.size < MOST_STORES || isSweep(place.last))) return place.last;
    const kernel = {
      time: place ? { ...time, part: place.last.time.part + 1 } : time,
      space,
      folds: [],
      stores: new Set<Expression>(),
      checks: [],
      gradient: false,
    };
    this.list.push(kernel);
    if (place) place.last = kernel;
    else this.places.set(key, { last: kernel, storing: new Map() });
    return kernel;
  }

  store(time: Time, space: ElementSpace, x: Expression): PlannedKernel {
    const kernel = this.at(time, space, x);
    kernel.stores.add(x);
    this.places.get(keyOf(time, space))?.storing.set(x, kernel);
    return kernel;
  }

  /** Whether the sweep stores enough already, and not x. */
  isFull(sweep: number, x: Expression): boolean {
    const place = this.places.get(keyOf(sweepTime(sweep), "token"));
    return place !== undefined && place.last.stores.size >= MOST_STORES && !place.storing.has(x);
  }
}

const keyOf = ({ sweep, step }: Time, space: ElementSpace) => `${sweep}/${step}/${space}`;

/** The kernels that must have run before a value can be computed. */
interface Needs {
  /** The last kernel whose folds and stored values it uses. */
  readonly known: Time;
  /** The sweep that reads the row it is made of; 0 where there is none. */
  readonly inSweep: number;
}

const allOf = (needs: readonly Needs[]): Needs => ({
  known: needs.reduce((last, { known }) => later(last, known), START),
  inSweep: Math.max(0, ...needs.map(({ inSweep }) => inSweep)),
});

export function schedule(program: Program): Schedule {
  const gradient = program.rowGradient ? [program.rowGradient, ...gradientRootsOf(program)] : [];
  const roots = [...neededOf(program), ...gradient];
  const ranks = ranksOf(roots);
  const order = topological(roots);
  const materialized = materializedOf(program, ranks);
  const rows = order.filter((x) => isRow(x.space));
  const sweeps = program.rows ? rows.reduce((most, x) => Math.max(most, ranks.rank(x)), 1) : 0;
  const lastSweep = lastSweeps(order, ranks, gradient, sweeps);
  const results = elementResults(program);
  const always = new Set(results.flatMap((result) => (result.always ? [result.x] : [])));

  const kernels = new OpenKernels();
  /** Needs in a kernel of the value's own space, and in one of a finer space: there, what is materialized must have been stored. */
  const inOwn = new Map<Expression, Needs>();
  const inFiner = new Map<Expression, Needs>();
  const needsIn = (space: Space) => (x: Expression) => (x.space === space ? inOwn : inFiner).get(x) as Needs;
  /** The first time at which an element of the space can know x, with sweeps preferred up to the last one that is early enough. */
  const timeFor = (x: Expression, space: ElementSpace, last = sweeps): Time => {
    const { known, inSweep } = needsIn(space)(x);
    if (space === "token" && !materialized.has(x)) {
      const sweep = Math.max(1, inSweep, known.sweep + 1);
      if (sweep <= Math.min(last, sweeps) && (always.has(x) || !kernels.isFull(sweep, x))) return sweepTime(sweep);
    }
    return stepAfter(later(known, sweepTime(inSweep)));
  };
  const setNeeds = (x: Expression, own: Needs, finer = own) => {
    inOwn.set(x, own);
    inFiner.set(x, finer);
  };

  for (const x of order) {
    if (isRowValue(x)) {
      setNeeds(x, { known: START, inSweep: ranks.rank(x) });
    } else if (isCoarseFold(x)) {
      const [operand] = x.operands;
      const space = x.attribute.from;
      const time = timeFor(operand, space, lastSweep.get(x));
      setNeeds(x, { known: time, inSweep: 0 });
      kernels.store(time, space, operand).folds.push(x);
    } else {
      setNeeds(x, allOf(x.operands.map(needsIn(x.space))), allOf(x.operands.map((y) => inFiner.get(y) as Needs)));
      if (materialized.has(x)) {
        const space = x.space as ElementSpace;
        const time = timeFor(x, space);
        inFiner.set(x, { known: time, inSweep: 0 });
        kernels.store(time, space, x);
      }
    }
  }
  for (const { space, x } of program.checks) kernels.at(timeFor(x, space), space, x).checks.push(x);
  for (const { space, x } of results) kernels.store(timeFor(x, space), space, x);
  // Scalars that are no fold themselves are computed by the last steps.
  const scalars = scalarResults(program)
    .map(({ x }) => x)
    .filter((x) => !isCoarseFold(x));
  const last = scalars.reduce((time, x) => later(time, timeFor(x, "batch")), START);
  for (const x of scalars) kernels.store(last, "batch", x);
  for (let sweep = 1; sweep <= sweeps; sweep++) kernels.at(sweepTime(sweep), "token");
  if (program.rowGradient) kernels.at(sweepTime(sweeps), "token").gradient = true;
  return { ranks, sweeps, kernels: kernels.list.sort(byTime), folds: order.filter(isCoarseFold).length };
}

/**
 * The last sweep that may do a fold: a later one needs its result for every row. Folds that no row waits for have none. `gradient`: the last sweep
 * writes it.
 */
function lastSweeps(
  order: readonly Expression[],
  ranks: Ranks,
  gradient: readonly Expression[],
  sweeps: number,
): ReadonlyMap<Expression, number> {
  const last = new Map<Expression, number>(gradient.map((x) => [x, sweeps - 1]));
  for (const x of [...order].reverse()) {
    const own = last.get(x) ?? Number.POSITIVE_INFINITY;
    const ofOperands = isRowValue(x) ? Math.min(own, ranks.rank(x) - 1) : own;
    if (ofOperands === Number.POSITIVE_INFINITY) continue;
    for (const y of x.operands) last.set(y, Math.min(last.get(y) ?? Number.POSITIVE_INFINITY, ofOperands));
  }
  return last;
}

/** The order of execution: of one time the finer space first. */
const byTime = (a: PlannedKernel, b: PlannedKernel): number =>
  compareTimes(a.time, b.time) || SPACES.indexOf(a.space) - SPACES.indexOf(b.space);
