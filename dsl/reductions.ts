/**
 * Reductions over tokens, sequences and groups. They see only tokens of non-zero weight, and only sequences and groups that hold such a token.
 *
 * Each names the axis that it folds away: `sum(x, "tokens")` of a token value is one value per sequence. Without an axis every element of the
 * value's own space counts once, and the result is one scalar. An axis that the value does not have next is `SPACE_MISMATCH`.
 */
import { LosscError } from "./errors.js";
import { type Expr, Expression, type Num, toExpression } from "./expression.js";
import { div, mul, ne, where } from "./functions.js";
import { weights } from "./ops/folds.js";
import { callerPosition } from "./position.js";
import { AXES, type Axis, nextCoarser } from "./spaces.js";

export const REDUCTIONS = ["sum", "mean", "variance", "std", "amax", "amin", "logsumexp", "count"] as const;
export type Reduction = (typeof REDUCTIONS)[number];

function reduce(reduction: Reduction, given: Num, axis: Axis | undefined, unbiased = true): Expr {
  const x = toExpression(given, `${reduction}()`);
  if (axis !== undefined && !Object.hasOwn(AXES, axis)) {
    throw new LosscError(
      "SPACE_MISMATCH",
      `${reduction}(): there is no axis "${axis}"; the axes are ${Object.keys(AXES).join(", ")}`,
      { position: callerPosition() },
    );
  }
  if (axis !== undefined && AXES[axis] !== x.space) {
    const own = Object.entries(AXES).find(([, space]) => space === x.space)?.[0];
    const way = own
      ? `write ${reduction}(x, "${own}")${x.space === "token" ? "" : " or leave the axis out"}`
      : "it is one scalar already: leave the reduction out";
    throw new LosscError(
      "SPACE_MISMATCH",
      `${reduction}() over "${axis}" was given a value in ${x.space} space, which has no such axis next: ${way}`,
      {
        position: callerPosition(),
      },
    );
  }
  const space = axis === undefined ? "batch" : nextCoarser(AXES[axis]);
  return Expression.intern("reduce", [x], space, "f32", { reduction, unbiased }) as unknown as Expr;
}

/** Σ x. Weights only mask here: `-l` as a loss is multiplied by the weights, `sum(-l)` is not. */
export const sum = (x: Num, axis?: Axis): Expr => reduce("sum", x, axis);
/** Σ x / count. */
export const mean = (x: Num, axis?: Axis): Expr => reduce("mean", x, axis);
/** Σ (x − mean)² / (count − 1), or / count with `unbiased: false`. NaN where it divides by 0. */
export const variance = (x: Num, axis?: Axis, options: { readonly unbiased?: boolean } = {}): Expr =>
  reduce("variance", x, axis, options.unbiased ?? true);
/** The square root of the variance; its gradient at 0 is 0. */
export const std = (x: Num, axis?: Axis, options: { readonly unbiased?: boolean } = {}): Expr =>
  reduce("std", x, axis, options.unbiased ?? true);
/** The greatest; ties share the gradient. NaN if any is. */
export const amax = (x: Num, axis?: Axis): Expr => reduce("amax", x, axis);
/** The least; ties share the gradient. NaN if any is. */
export const amin = (x: Num, axis?: Axis): Expr => reduce("amin", x, axis);
/** log Σ exp x. */
export const logsumexp = (x: Num, axis?: Axis): Expr => reduce("logsumexp", x, axis);
/** How many elements there are. */
export const count = (x: Num, axis?: Axis): Expr => reduce("count", x, axis);

/** Σ weights·x / Σ weights over tokens of non-zero weight, and 0 where the weights sum to 0: what a metric per token means. A scalar. */
export function weightedMean(x: Num): Expr {
  const total = sum(weights);
  return where(ne(total, 0), div(sum(mul(weights, x)), total), 0);
}
