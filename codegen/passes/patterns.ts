/** Patterns of expressions of rows that passes look for. */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { isMaximum, ONE } from "../../dsl/ops/index.js";
import { isPerEntry } from "../../dsl/spaces.js";

export type Exponent = Extract<Expression, { readonly op: "exponent" | "scaledExponent" }>;

/** Whether it is how far a value lies below a number, in powers of two. */
export const isExponent = (x: Expression): x is Exponent => x.op === "exponent" || x.op === "scaledExponent";

/** A power of two of how far an entry lies below its row's maximum. */
export type Exponential = Extract<Expression, { readonly op: "exp2" }> & { readonly operands: readonly [Exponent] };

/** Whether it is e^(x − the maximum of x over the row), which lies between 0 and 1. */
export function isExponential(e: Expression): e is Exponential {
  if (e.op !== "exp2" || !isExponent(e.operands[0])) return false;
  const m = e.operands[0].operands[1];
  return isMaximum(m) && isPerEntry(m.attribute.from) && isDistance(e.operands[0], m.operands[0], m);
}

/** Whether the exponent is that of x − m. */
function isDistance(exponent: Exponent, x: Expression, m: Expression): boolean {
  if (exponent.operands[1] !== m) return false;
  if (exponent.op === "exponent") return exponent.operands[0] === x;
  const scaled = scaledRow(x);
  return scaled !== null && scaled.row === exponent.operands[0] && scaled.factor === exponent.operands[2];
}

/** Whether x is a sum with the exponent of e as a term, for example x − m + c for e = e^(x − m). It is NaN where e is. */
export function sumHasExponentOf(e: Exponential, x: Expression): boolean {
  const [exponent] = e.operands;
  const isOwn = (y: Expression) => y === exponent || (y.op === "sub" && isDistance(exponent, ...y.operands));
  return topological([x], (y) => isOwn(y) || (y.op !== "add" && y.op !== "sub")).some(isOwn);
}

/** A row and the factor that scales it, 1 where it is the row itself; or the two at the named entry. */
export interface ScaledRow {
  readonly row: Expression;
  readonly factor: Expression;
}

export function scaledRow(x: Expression): ScaledRow | null {
  const isRow = ({ op, space }: Expression) => op === "at" || (op === "input" && isPerEntry(space));
  if (isRow(x)) return { row: x, factor: ONE };
  if (x.op !== "mul" && x.op !== "mulNoNan") return null;
  const [a, b] = x.operands;
  // A factor of 0 absorbs NaN.
  if (x.op === "mulNoNan" && !((constantValue(a) ?? 0) > 0)) return null;
  const [row, factor] = isRow(a) ? [a, b] : [b, a];
  return isRow(row) && !isPerEntry(factor.space) ? { row, factor } : null;
}
