/** What expressions of a row look like to those who write them with less. */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { ONE } from "../../dsl/ops/index.js";
import { isPerEntry } from "../../dsl/spaces.js";
import { isMaximum } from "../schedule/ranks.js";

/** Whether it is e^(x - the maximum of x over the row), which lies between 0 and 1. */
export function isExponential(e: Expression): e is Exponential {
  if (e.op !== "exp2" || e.operands[0].op !== "exponent") return false;
  const [x, m] = e.operands[0].operands;
  return isMaximum(m) && isPerEntry(m.attribute.from) && m.operands[0] === x;
}

/** A power of two of how far an entry lies below its row's maximum. */
export type Exponential = Extract<Expression, { readonly op: "exp2" }> & {
  readonly operands: readonly [Extract<Expression, { readonly op: "exponent" }>];
};

/** Whether x is a sum that an exponential's exponent is part of. Where the one is 1 the other is 0, and where the one is NaN, so is the other. */
export function holdsOwn(exponential: Exponential, x: Expression): boolean {
  const [exponent] = exponential.operands;
  const isOwn = (y: Expression) => y === exponent || (y.op === "sub" && y.operands.every((z, i) => z === exponent.operands[i]));
  return topological([x], (y) => isOwn(y) || (y.op !== "add" && y.op !== "sub")).some(isOwn);
}

/** The row and the factor of its own that a vocabulary expression is the product of, 1 where it is the row; or what it is at the target. */
export function scaledRow(x: Expression): { readonly row: Expression; readonly factor: Expression } | null {
  const isRow = ({ op, space }: Expression) => op === "at" || (op === "input" && isPerEntry(space));
  if (isRow(x)) return { row: x, factor: ONE };
  if (x.op !== "mul" && x.op !== "absorb") return null;
  const [a, b] = x.operands;
  // A factor of 0 absorbs NaN.
  if (x.op === "absorb" && !((constantValue(a) ?? 0) > 0)) return null;
  const [row, factor] = isRow(a) ? [a, b] : [b, a];
  return isRow(row) && !isPerEntry(factor.space) ? { row, factor } : null;
}
