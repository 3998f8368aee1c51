/**
 * Splits the gradient of a row: within the row no entry knows whether it is the named one, so the kernel writes all alike and then that one by
 * itself.
 */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { bottomUp, operandsFirst, rewriter, withOperands } from "../../dsl/graph.js";
import { ONE, ZERO } from "../../dsl/ops/index.js";
import { isPerEntry } from "../../dsl/spaces.js";
import type { Program } from "../program.js";
import { type Factors, formOf } from "./products.js";
import { simplifier } from "./simplify.js";

export function splitGradient(program: Program): Program {
  const { rows, rowGradient } = program;
  if (!rows || !rowGradient) return program;
  const present = ofPresent(rowGradient, rows.isPresent);
  const simplified = simplifier();
  const at = (value: Expression) => simplified(rewriter((x) => (x.op === "isAt" ? value : x))(present));
  return { ...program, splitGradient: { others: at(ZERO), named: at(ONE), factors: factorsOf(present) ?? [] } };
}

/** An expression of an entry that is there: where one is not, a store writes 0 whatever the gradient is. Folds see both. */
function ofPresent(root: Expression, isPresent: Expression): Expression {
  const isNoEntry = ({ space }: Expression) => !isPerEntry(space);
  return bottomUp((x, operands: readonly Expression[]) => {
    if (isNoEntry(x)) return x;
    return x.op === "where" && x.operands[0] === isPresent ? (operands[1] ?? x) : withOperands(x, operands);
  }, isNoEntry)(root);
}

/** Numbers of the row such that an expression is 0 where all of them are: of a · p + b · q these are a and b. Null where there are none. */
export const factorsOf = operandsFirst((x): readonly Expression[] | null => {
  if (constantValue(x) !== undefined) return constantValue(x) === 0 ? [] : null;
  const form = formOf(x);
  switch (form.kind) {
    case "number":
      return [x];
    case "sum": {
      const [left, right] = form.terms.map(factorsOf);
      return left && right ? few([...left, ...right]) : null;
    }
    case "negative":
    case "masked":
      return factorsOf(form.of);
    case "product":
      return factorsOfProduct(x, form);
    case "entry":
      return x.op === "where" && constantValue(x.operands[1]) === 0 ? factorsOf(x.operands[2]) : null;
  }
});

function factorsOfProduct(x: Expression, { factors: [a, b], zeros, scaled }: Factors): readonly Expression[] | null {
  if (zeros === "none") {
    if (!scaled) return null;
    return a === scaled.entry ? productsOf(x, factorsOf(a), [b]) : productsOf(x, [a], factorsOf(b));
  }
  // A derivative of 0 does not make the product 0.
  const [left, right] = [factorsOf(a), zeros === "first" && isPerEntry(a.space) ? null : factorsOf(b)];
  return left && right ? productsOf(x, left, right) : (left ?? (zeros === "either" ? right : null));
}

/** Every one of `left` with every one of `right`, as x is of what they are factors of. */
function productsOf(x: Expression, left: readonly Expression[] | null, right: readonly Expression[] | null) {
  return left && right && few(left.flatMap((p) => right.map((q) => withOperands(x, [p, q]))));
}

/** More are not worth to be looked at in every row. */
const MANY = 8;

function few(factors: readonly Expression[]): readonly Expression[] | null {
  const different = [...new Set(factors)];
  return different.length <= MANY ? different : null;
}
