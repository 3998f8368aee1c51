/** Nodes that only formulas have: the author's reductions, put back where the compiler had spelt them out. */
import { Expression } from "../../dsl/expression.js";
import type { Reduction } from "../../dsl/reductions.js";
import type { Space } from "../../dsl/spaces.js";

export function reduced(reduction: Reduction, x: Expression, to: Space, unbiased = true): Expression {
  return Expression.intern("reduce", [x], to, "f32", { reduction, unbiased });
}

export const mean = (x: Expression, to: Space): Expression => reduced("mean", x, to);

/** Σ over a row. */
export function isRowSum(x: Expression): boolean {
  return x.op === "reduce" && x.attribute.reduction === "sum" && x.space === "token" && x.operands[0]?.space === "vocab";
}
