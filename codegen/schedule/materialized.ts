/**
 * Values that are computed in their own space, once per element, and loaded where they are used. A kernel of a finer space would compute them again
 * for each of its elements: a value per group for every token. Short ones are computed again all the same, for that costs less than a kernel and its
 * memory.
 */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { isCoarseFold, isRowValue } from "../../dsl/ops/index.js";
import { isFiner, isPerEntry, LEVELS, type Level } from "../../dsl/spaces.js";
import { gradientRootsOf, type Program } from "../program.js";
import type { Ranks } from "./ranks.js";

/** Operations of all such values of a space together up to which no kernel is made for them. */
const FEW_OPERATIONS = 64;
/**
 * Operations for each value, on average, that storing it must save. A number per token is a part of the memory that a loss moves, a coarser one is
 * not.
 */
const PER_VALUE: Readonly<Record<Level, number>> = { token: 64, sequence: 8, group: 8, batch: 8 };

/** Whether x costs a kernel no operation: it is loaded, or written as a number. */
export const isFree = (x: Expression): boolean => x.operands.length === 0 || constantValue(x) !== undefined || isCoarseFold(x);

export function materializedOf(program: Program, ranks: Ranks): ReadonlySet<Expression> {
  const candidates = candidatesOf(program, ranks);
  const found = new Set<Expression>();
  for (const space of [...LEVELS].reverse()) {
    const least = PER_VALUE[space];
    // Operands come first. A value a few operations on top of others that are stored is computed from these.
    const stored = new Set(found);
    for (const x of candidates) if (x.space === space && takesMore(x, least, stored)) stored.add(x);
    const own = [...stored].filter((x) => !found.has(x));
    const operations = operationsOf(own);
    if (operations > FEW_OPERATIONS && operations >= least * own.length) for (const x of own) found.add(x);
  }
  return found;
}

/** Numbers with a use in a finer space, and numbers per token with a use that only a later sweep can compute; operands come first. */
function candidatesOf(program: Program, ranks: Ranks): readonly Expression[] {
  const found = new Set<Expression>();
  const add = (x: Expression) => {
    if (x.dtype === "f32" && !isPerEntry(x.space) && !isLoaded(x)) found.add(x);
  };
  const use = (x: Expression, by: Expression) => {
    const inFiner = isFiner(isCoarseFold(by) ? by.attribute.from : by.space, x.space);
    // A sweep's elements are the entries of a row.
    const inSweep = Number.isInteger(ranks.rank(by)) && ranks.rank(x) < ranks.rank(by);
    if (x.space === "token" ? inSweep : inFiner) add(x);
  };
  const placed = [...program.results, ...program.checks];
  const order = topological([...placed.map((one) => one.x), ...gradientRootsOf(program)]);
  for (const x of order) for (const y of x.operands) use(y, x);
  for (const { space, x } of placed) if (isFiner(space, x.space)) add(x);
  return order.filter((x) => found.has(x));
}

const isLoaded = (x: Expression) => isFree(x) || isRowValue(x);

function operationsOf(roots: readonly Expression[]): number {
  return topological(roots, isLoaded).filter((x) => !isLoaded(x)).length;
}

/** Whether x takes more operations where the known values are loaded. No more of them are looked at than it takes to say so. */
function takesMore(x: Expression, most: number, known: ReadonlySet<Expression>): boolean {
  const seen = new Set([x]);
  for (const y of seen) {
    if (seen.size > most) return true;
    for (const z of y.operands) if (!isLoaded(z) && !known.has(z)) seen.add(z);
  }
  return false;
}
