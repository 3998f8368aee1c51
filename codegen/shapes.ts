/** What expressions of a row look like to those who write them with less. */
import { constantValue, type Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { ONE } from "../dsl/ops/index.js";
import { isMaximum } from "./ranks.js";

/** Whether it is e^(x - the maximum of x over the row), which lies between 0 and 1. */
export function isExponential({ op, operands: [exponent] }: Expression): boolean {
  return op === "exp2" && exponent?.op === "exponent" && isBelowMaximum(exponent);
}

/** Whether x is told from an expression and the maximum of the same over the row. */
function isBelowMaximum({ operands: [x, m] }: Expression): boolean {
  return m !== undefined && isMaximum(m) && m.attribute.from === "vocab" && m.operands[0] === x;
}

/** Whether x is a sum that an exponential's exponent is part of. Where the one is 1 the other is 0, and where the one is NaN, so is the other. */
export function holdsOwn(exponential: Expression, x: Expression): boolean {
  const [exponent] = exponential.operands as [Expression];
  const isOwn = (y: Expression) => y === exponent || (y.op === "sub" && y.operands.every((z, i) => z === exponent.operands[i]));
  return topological([x], (y) => isOwn(y) || (y.op !== "add" && y.op !== "sub")).some(isOwn);
}

/** The row and the factor of its own that a vocabulary expression is the product of, 1 where it is the row; or what it is at the target. */
export function scaledRow(x: Expression): { readonly row: Expression; readonly factor: Expression } | null {
  const isRow = ({ op, space }: Expression) => op === "logits" || op === "atTarget" || (op === "input" && space === "vocab");
  if (isRow(x)) return { row: x, factor: ONE as Expression };
  const [a, b] = x.operands as [Expression, Expression];
  // A factor of 0 absorbs NaN.
  if (x.op !== "mul" && !(x.op === "absorb" && (constantValue(a) ?? 0) > 0)) return null;
  const [row, factor] = isRow(a) ? [a, b] : [b, a];
  return isRow(row) && factor.space !== "vocab" ? { row, factor } : null;
}
