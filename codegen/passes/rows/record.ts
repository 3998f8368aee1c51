/**
 * The part of a sweep that works on rows, as data: rows are folded phase by phase and then turned into their gradient. The passes of this folder
 * improve it, and `emit` prints it as it stands.
 */
import { constantValue, type Expression } from "../../../dsl/expression.js";
import { type Input, neg, type RowFold, type RowLeaf } from "../../../dsl/ops/index.js";
import type { Exponential, ScaledRow } from "../patterns.js";

export type NamedEntry = Extract<Expression, { readonly op: "at" }>;

export interface RowKernel {
  readonly name: string;
  /** The row that every other stands beside. */
  readonly leaf: Input;
  /** The rows that are read, the leaf first. */
  readonly rows: readonly RowLeaf[];
  /** Everything that the sweep computes from rows. */
  readonly roots: readonly Expression[];
  /** Named entries, which are read before the first phase. */
  readonly entries: readonly NamedEntry[];
  /** Values per token that entries are computed from: they are computed outside of the loops over the row. */
  readonly perToken: readonly Expression[];
  /** Folds over the row that wait for one another, without any merge. */
  readonly depth: number;
  readonly phases: readonly Phase[];
  /** Null where the sweep writes none. */
  readonly gradient: RowGradient | null;
  /**
   * The exponential of an entry that the last sums and the gradient are computed from in place of the entry. A kernel may store it where the entry
   * lies.
   */
  readonly cachedExp: Exponential | null;
}

/** One loop over the row, or two whose results are exchanged at once. */
export interface Phase {
  readonly folds: readonly FoldedEntries[];
  /** Set where each part of a row sums from its own maxima, and the sums of all parts are merged. */
  readonly merge: Merge | null;
}

export interface FoldedEntries {
  readonly fold: RowFold;
  readonly value: Summand;
  /** The fold's value at a token whose row is not read. */
  readonly unread: 0 | 1;
}

/** The maximum of a row as it is, or scaled by a factor of its own, follows from that of the row; null where it is another expression's. */
export interface Maximum extends FoldedEntries {
  readonly scaled: ScaledRow | null;
}

export interface Merge {
  readonly maxima: readonly Maximum[];
  /** For each fold of the phase its rule, as the preludes write it. */
  readonly rules: readonly string[];
}

/** A product of two factors that is 0 where one of its guards is, whatever the other factor is. */
export interface GuardedProduct {
  readonly factors: readonly [Expression, Expression];
  readonly guards: readonly Expression[];
}

/** A value to be added where the conditions hold: x, or the product that x is. */
export interface Summand {
  readonly kind: "summand";
  readonly conditions: readonly Expression[];
  readonly x: Expression;
  readonly product: GuardedProduct | null;
}

export interface RowGradient {
  /** At every entry but the named one. */
  readonly others: Total;
  readonly named: Expression;
  /** Values per token whose being 0 makes the whole row's gradient 0. */
  readonly zeroWhere: readonly Expression[];
}

/** A value that is stored: x as it is, or a product added to the rest of a sum. */
export interface Total {
  readonly kind: "total";
  readonly x: Expression;
  readonly added: { readonly rest: Total; readonly product: GuardedProduct; readonly minus: boolean } | null;
  /** Sums within x, or within the product, that are totals themselves. */
  readonly inner: readonly Total[];
}

/** Whether every fold of a loop is a sum. */
export const areSums = (folds: readonly FoldedEntries[]): boolean => folds.every(({ fold }) => fold.attribute.kind === "sum");

export const plainSummand = (x: Expression): Summand => ({ kind: "summand", conditions: [], x, product: null });
export const plainTotal = (x: Expression): Total => ({ kind: "total", x, added: null, inner: [] });

/** Whether the gradient is 0 at every entry. */
export const isZeroGradient = ({ others, named }: RowGradient): boolean =>
  constantValue(others.x) === 0 && constantValue(named) === 0;

/** Values per token that are not 0 where the gradient is computed at all. */
export function knownNonZero({ zeroWhere }: RowGradient): ReadonlySet<Expression> {
  const [factor, ...others] = zeroWhere;
  if (!factor || others.length > 0) return new Set();
  return new Set([factor, neg(factor), ...(factor.op === "neg" ? factor.operands : [])]);
}
