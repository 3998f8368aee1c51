/**
 * Reductions over entries, tokens, sequences and groups. They see only tokens of non-zero weight, and only sequences and groups that hold such a
 * token.
 *
 * Each names the axis that it folds away: `sum(x, "tokens")` of a token value is one value per sequence. Without an axis every element of the
 * value's own space counts once, and the result is one scalar. An axis that the value does not have next is `SPACE_MISMATCH`.
 */
import { LosscError } from "./errors.js";
import { describe, type Expr, type Expression, intern, isExpression, type Num, toAuthor, toExpression } from "./expression.js";
import { div, mul, ne, where } from "./functions.js";
import { nearest } from "./nearest.js";
import type { Reduction } from "./ops/names.js";
import { weights as lossWeights } from "./policy.js";
import { callerPosition } from "./position.js";
import { AXES, type Axis, isFiner, isPerEntry, reduced, type Space } from "./spaces.js";

interface Deviation {
  /** Whether it is divided by the count less one (the default). */
  readonly unbiased?: boolean;
}

function reduce(reduction: Reduction, given: Num, axis: Axis | undefined, options: Deviation = {}): Expr {
  const { unbiased = true, ...others } = options ?? {};
  const [odd] = Object.keys(others);
  if (odd !== undefined || typeof unbiased !== "boolean" || typeof options !== "object") {
    const given = odd === undefined ? "was given another option than" : `has no option "${odd}"; it has`;
    const message = `${reduction}() ${given} unbiased, true or false`;
    throw new LosscError("UNSUPPORTED_SYNTAX", message, { position: callerPosition() });
  }
  const x = toExpression(given, `${reduction}()`);
  const space = axis === undefined ? whole(reduction, x) : spaceWithout(reduction, x, axis);
  return toAuthor(intern("reduce", [x], space, "f32", { reduction, unbiased }));
}

/** Everything is folded away, but where the value is a row of a sequence or a group. */
function whole(name: Reduction, x: Expression): "batch" {
  if (!isBroadcast(x.space)) return "batch";
  throw new LosscError("SPACE_MISMATCH", `${name}() was given a value in ${x.space} space: ${BROADCAST}`, {
    position: callerPosition(),
  });
}

/** An entry's value beside a sequence's or a group's: kernels know it only beside a row. */
const isBroadcast = (space: Space): boolean => isPerEntry(space) && space !== "vocab" && space !== "entry";
const BROADCAST =
  "its entries are folded only together with a row of each token, so reduce the entry's value first, or multiply it with policy.logits";

/** The space without the axis; refuses an axis that there is not, or that the value does not have next. */
function spaceWithout(name: Reduction, x: Expression, axis: unknown): Space {
  const refuse = (code: "SPACE_MISMATCH" | "UNSUPPORTED_SYNTAX", message: string) =>
    new LosscError(code, message, { position: callerPosition() });
  const axes = Object.keys(AXES) as Axis[];
  if (typeof axis !== "string") {
    const meant = isExpression(axis) ? ": it reduces one value; to join two, write a + b, min(a, b) or max(a, b)" : "";
    throw refuse(
      "UNSUPPORTED_SYNTAX",
      `${name}() takes a value and the name of an axis; in place of the axis it was given ${describe(axis)}${meant}`,
    );
  }
  const folded = axes.find((known) => known === axis);
  if (folded === undefined)
    throw refuse(
      "SPACE_MISMATCH",
      `${name}(): there is no axis "${axis}"${nearest(axis, axes) || `; the axes are ${axes.join(", ")}`}`,
    );
  const space = reduced(folded, x.space);
  if (space !== null) return space;
  if (isBroadcast(x.space)) throw refuse("SPACE_MISMATCH", `${name}() was given a value in ${x.space} space: ${BROADCAST}`);
  throw refuse(
    "SPACE_MISMATCH",
    `${name}() over "${folded}" was given a value in ${x.space} space, which has no such axis next: ${wayOut(name, x, folded)}`,
  );
}

function wayOut(name: Reduction, x: Expression, axis: Axis): string {
  const axes = Object.keys(AXES) as Axis[];
  const own = x.space === "entry" ? "vocab" : axes.find((known) => AXES[known] === x.space);
  if (own === undefined) return "it is one scalar already: leave the reduction out";
  if (x.space === "entry") return `write ${name}(x, "vocab")`;
  if (isFiner(AXES[axis], x.space))
    return `that axis is folded away already; write ${name}(x, "${own}") or leave the axis out for one scalar`;
  const chain = axes
    .slice(axes.indexOf(own), axes.indexOf(axis) + 1)
    .reduce((inner, next) => `${name}(${inner}, "${next}")`, "x");
  return `write ${name}(x, "${own}"), or one after the other: ${chain}`;
}

/** Σ x. Weights only mask here: `-l` as a loss is multiplied by the weights, `sum(-l)` is not. */
export const sum = (x: Num, axis?: Axis): Expr => reduce("sum", x, axis);
/** Σ x / count. */
export const mean = (x: Num, axis?: Axis): Expr => reduce("mean", x, axis);
/** Σ (x − mean)² / (count − 1), or / count with `unbiased: false`. NaN where it divides by 0. */
export const variance = (x: Num, axis?: Axis, options?: Deviation): Expr => reduce("variance", x, axis, options);
/** The square root of the variance; its gradient at 0 is 0. */
export const std = (x: Num, axis?: Axis, options?: Deviation): Expr => reduce("std", x, axis, options);
/** The greatest; ties share the gradient. NaN if any is. */
export const amax = (x: Num, axis?: Axis): Expr => reduce("amax", x, axis);
/** The least; ties share the gradient. NaN if any is. */
export const amin = (x: Num, axis?: Axis): Expr => reduce("amin", x, axis);
/** log Σ exp x. */
export const logsumexp = (x: Num, axis?: Axis): Expr => reduce("logsumexp", x, axis);
/** How many elements of a mask are true; of a value that is no mask, how many elements there are. No gradient passes. */
export const count = (x: Num, axis?: Axis): Expr => reduce("count", x, axis);

/** Σ weights·x / Σ weights over tokens of non-zero weight, and 0 where the weights sum to 0: what a metric per token means. A scalar. */
export function weightedMean(x: Num): Expr {
  const weights = toAuthor(lossWeights);
  const total = sum(weights);
  return where(ne(total, 0), div(sum(mul(weights, x)), total), 0);
}
