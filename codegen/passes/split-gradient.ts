/** Splits the gradient of a row: within the row no entry knows whether it is the named one, so the kernel writes all alike and then that one by itself. */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { bottomUp, operandsFirst, rewriter, withOperands } from "../../dsl/graph.js";
import { ONE, ZERO } from "../../dsl/ops/index.js";
import { isPerEntry } from "../../dsl/spaces.js";
import type { Program } from "../program.js";
import { numberAndEntry } from "./products.js";
import { simplifier } from "./simplify.js";

export function splitGradient(program: Program): Program {
  const { rows, rowGradient } = program;
  if (!rows || !rowGradient) return program;
  const present = ofPresent(rowGradient, rows.isPresent);
  const at = (value: Expression) => simplifier()(rewriter((x) => (x.op === "isAt" ? value : x))(present));
  return { ...program, splitGradient: { offTarget: at(ZERO), target: at(ONE), factors: factorsOf(present) ?? [] } };
}

/** An expression of an entry that is there: where one is not, a store writes 0 whatever the gradient is. Folds see both. */
function ofPresent(root: Expression, isPresent: Expression): Expression {
  const isNoEntry = ({ space }: Expression) => !isPerEntry(space);
  return bottomUp((x, operands: readonly Expression[]) => {
    if (isNoEntry(x)) return x;
    return x.op === "where" && x.operands[0] === isPresent ? (operands[1] ?? x) : withOperands(x, operands);
  }, isNoEntry)(root);
}

/** Values per token that make an expression 0 when all of them are, and, of what is 0 by absorbing others, no less; null where there are none such. */
export const factorsOf = operandsFirst((x): readonly Expression[] | null => {
  if (constantValue(x) !== undefined) return constantValue(x) === 0 ? [] : null;
  if (!isPerEntry(x.space)) return [x];
  switch (x.op) {
    case "add":
    case "sub": {
      const [left, right] = x.operands.map(factorsOf);
      return left && right ? few([...left, ...right]) : null;
    }
    case "neg":
      return factorsOf(x.operands[0]);
    case "mul": {
      const [a, b] = x.operands;
      if (!numberAndEntry(x)) return null;
      return isPerEntry(a.space) ? productsOf(x, factorsOf(a), [b]) : productsOf(x, [a], factorsOf(b));
    }
    case "mulAdjoint":
    case "mulNoNan": {
      const [a, b] = x.operands;
      // A derivative of 0 does not make the product 0.
      const [left, right] = [factorsOf(a), x.op === "mulAdjoint" && isPerEntry(a.space) ? null : factorsOf(b)];
      return left && right ? productsOf(x, left, right) : (left ?? (x.op === "mulNoNan" ? right : null));
    }
    case "where": {
      const [, a, b] = x.operands;
      return constantValue(b) === 0 ? factorsOf(a) : constantValue(a) === 0 ? factorsOf(b) : null;
    }
    default:
      return null;
  }
});

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
