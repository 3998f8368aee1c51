/** Values that are 0 where a mask is 0, by their form: where such a token's row is not read, nobody has to know what the row holds. */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { oncePerNode, operandsFirst } from "../../dsl/graph.js";
import { isRowFold } from "../../dsl/ops/index.js";

const isZero = (x: Expression): boolean => constantValue(x) === 0;
const compares = (x: Expression, op: "eq" | "ne", mask: Expression): boolean =>
  x.op === op && x.operands.some((y) => y === mask) && x.operands.some(isZero);

/**
 * Whether a value is 0, and a condition fails, where the mask is 0. Every adjoint of the token's own is such a value. The other factor of a product
 * does not matter, even if it is NaN, since nobody reads it.
 */
export const zeroWhere = oncePerNode((mask) => {
  const isZeroWhereMasked: (x: Expression) => boolean = operandsFirst((x): boolean => {
    const zero = (y: Expression) => isZero(y) || isZeroWhereMasked(y);
    switch (x.op) {
      case "input":
        return x === mask;
      case "ne":
        return compares(x, "ne", mask);
      case "mulAdjoint":
      case "div":
      case "neg":
        return zero(x.operands[0]);
      case "mul":
      case "mulNoNan":
      case "and":
        return x.operands.some(zero);
      case "add":
      case "sub":
      case "min":
      case "max":
      case "or":
        return x.operands.every(zero);
      case "where": {
        const [condition, a, b] = x.operands;
        if (isZeroWhereMasked(condition)) return zero(b);
        return zero(a) && (compares(condition, "eq", mask) || zero(b));
      }
      case "fold":
        return x.attribute.kind === "sum" && isRowFold(x) && zero(x.operands[0]);
      default:
        return false;
    }
  });
  return isZeroWhereMasked;
});
