/**
 * Products of rows, taken apart. The ops `mul`, `mulAdjoint` and `mulNoNan` multiply alike, and differ in the zeros that make the product 0 whatever the other factor
 * is: none, that of the first factor, that of either.
 */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { isPerEntry } from "../../dsl/spaces.js";
import { holdsOwn, isExponential } from "./patterns.js";

export type Product = Extract<Expression, { readonly op: "mul" | "mulAdjoint" | "mulNoNan" }>;

export const isProduct = (x: Expression): x is Product => x.op === "mul" || x.op === "mulAdjoint" || x.op === "mulNoNan";

/** A product of a number of the whole row and an entry; null where both factors are entries. */
export function numberAndEntry({
  operands: [a, b],
}: Product): { readonly number: Expression; readonly entry: Expression } | null {
  if (!isPerEntry(a.space)) return { number: a, entry: b };
  return isPerEntry(b.space) ? null : { number: b, entry: a };
}

/**
 * The factors whose being 0 makes the product 0, whatever the other is. Of an `mulNoNan` that is one factor alone where the other is 0, infinite or NaN only
 * together with it.
 */
export function guardsOf(x: Product): readonly Expression[] {
  const [a, b] = x.operands;
  switch (x.op) {
    case "mul":
      return [];
    case "mulAdjoint":
      return [a];
    case "mulNoNan": {
      const own = (e: Expression, y: Expression) => isExponential(e) && holdsOwn(e, y);
      return a === b || own(a, b) ? [a] : own(b, a) ? [b] : [a, b];
    }
  }
}

/** A product with its masks and all of its factors. */
export interface Factored {
  readonly masks: readonly Expression[];
  readonly factors: readonly Expression[];
}

/** Takes a product apart to its last factor, through masks that `isMask` accepts; null where it has more than `most` factors. */
export function factored(root: Expression, isMask: (condition: Expression) => boolean, most: number): Factored | null {
  const masks: Expression[] = [];
  const factors: Expression[] = [];
  const visit = (x: Expression): void => {
    if (factors.length > most) return;
    if (x.op === "where" && constantValue(x.operands[2]) === 0 && isMask(x.operands[0])) {
      masks.push(x.operands[0]);
      visit(x.operands[1]);
    } else if (x.op === "mulNoNan" || x.op === "mul") x.operands.forEach(visit);
    else factors.push(x);
  };
  visit(root);
  return factors.length > most ? null : { masks, factors };
}
