/** Nodes that only formulas have: the author's reductions, put back where the compiler had spelt them out. */
import { type Expression, intern } from "../../dsl/expression.js";
import type { Reduction } from "../../dsl/ops/names.js";
import { isPerEntry, type Space } from "../../dsl/spaces.js";

export function reduced(reduction: Reduction, x: Expression, to: Space, unbiased = true): Expression {
  return intern("reduce", [x], to, "f32", { reduction, unbiased });
}

export const mean = (x: Expression, to: Space): Expression => reduced("mean", x, to);

/** Σ over a row. */
export function isRowSum(x: Expression): x is RowSum {
  return x.op === "reduce" && x.attribute.reduction === "sum" && x.space === "token" && isPerEntry(x.operands[0].space);
}

type RowSum = Extract<Expression, { readonly op: "reduce" }> & { readonly attribute: { readonly reduction: "sum" } };

/** The value of which a fold picks a sequence's; null of all else. */
export function pickedOf(x: Expression): Expression | null {
  if (x.op !== "fold" || x.attribute.picks === undefined) return null;
  const [chosen] = x.operands;
  return chosen.op === "where" ? chosen.operands[1] : null;
}
