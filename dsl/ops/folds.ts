/**
 * Folds from a finer space to a coarser one. The compiler spells the reductions of authors (`reductions.ts`) out in these, in `loss-program.ts`.
 */
import { constantValue, type Expression, intern } from "../expression.js";
import { type ElementSpace, isRow, type Space } from "../spaces.js";
import { and, div, eq, mulAdjoint, where } from "./arithmetic.js";
import { placeInGroup } from "./leaves.js";
import type { FoldKind } from "./names.js";

export type Fold = Extract<Expression, { readonly op: "fold" }>;
/** A fold over entries of a row: a number per token that a sweep computes. */
export type RowFold = Fold & { readonly attribute: { readonly from: "vocab" } };
/** A fold over tokens, sequences, groups or the entries that all rows share. */
export type CoarseFold = Fold & { readonly attribute: { readonly from: ElementSpace }; readonly space: ElementSpace };

/** A number per token that only a sweep can compute: a fold over the entries of a row, or one of them. */
export type RowValue = RowFold | Extract<Expression, { readonly op: "at" }>;

export function isRowFold(x: Expression): x is RowFold {
  return x.op === "fold" && isRow(x.attribute.from);
}

export function isRowValue(x: Expression): x is RowValue {
  return x.op === "at" || isRowFold(x);
}

export function isMaximum(x: Expression | undefined): x is Fold {
  return x?.op === "fold" && x.attribute.kind === "max";
}

/** A fold over tokens, sequences, groups or the entries that all rows share. */
export function isCoarseFold(x: Expression): x is CoarseFold {
  return x.op === "fold" && !isRow(x.attribute.from);
}

export interface FoldRow {
  /** The value of a fold over nothing, before 0 is put in its place. */
  readonly start: number;
  readonly merge: (a: number, b: number) => number;
  /** The fold's name in the preludes. */
  readonly text: string;
}

export const FOLDS: { readonly [K in FoldKind]: FoldRow } = {
  sum: { start: 0, merge: (a, b) => a + b, text: "Sum" },
  max: { start: Number.NEGATIVE_INFINITY, merge: Math.max, text: "Max" },
  min: { start: Number.POSITIVE_INFINITY, merge: Math.min, text: "Min" },
};
/** See `OpRow.order`. */
export const FOLD_ORDER = 16;

/**
 * Folds x over every element of space `from` that belongs to one element of `to`. x may live in a coarser space than `from`: it counts once per
 * element.
 */
export const fold = (kind: FoldKind, x: Expression, from: Space, to: Space): Fold =>
  intern("fold", [x.dtype === "bool" ? where(x, 1, 0) : x], to, "f32", { kind, from });

/** The adjoint of a fold's operand: a sum hands its adjoint to all, a maximum shares it evenly among ties. */
export function foldGradient(g: Expression, self: Fold): Expression {
  const [x] = self.operands;
  const { kind, from } = self.attribute;
  if (kind === "sum") return g;
  // The number that a mask puts in place of an element ties with none, also where all that counts is infinite.
  const mask = x.op === "where" && !Number.isFinite(constantValue(x.operands[2]) ?? 0) ? x.operands[0] : undefined;
  const ties = mask ? and(mask, eq(x, self)) : eq(x, self);
  return where(ties, mulAdjoint(g, div(1, fold("sum", where(ties, 1, 0), from, self.space))), 0);
}

/** The i-th sequence of each group. `picks` marks the fold, so that masks and checks can find it. */
export const pick = (x: Expression, i: number): Fold =>
  intern("fold", [where(eq(placeInGroup, i), x, 0)], "group", "f32", { kind: "sum", from: "sequence", picks: i });
