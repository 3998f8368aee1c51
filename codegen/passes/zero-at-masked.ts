/** What a token of weight 0 makes of a value, whatever its row holds: for rows that are not read. */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { oncePerNode, operandsFirst } from "../../dsl/graph.js";

const isZero = (x: Expression): boolean => constantValue(x) === 0;
const compares = (x: Expression, op: "eq" | "ne", mask: Expression): boolean =>
  x.op === op && x.operands.some((y) => y === mask) && x.operands.some(isZero);

/**
 * Whether a value stands for 0, and a condition for one that fails, at a token of weight 0, by its form: so it is with every adjoint of the token's own. What a
 * factor of 0 stands beside does not matter, NaN neither, for nobody reads it.
 */
export const zeroWhere = oncePerNode((mask) => {
  const isZeroWhereMasked: (x: Expression) => boolean = operandsFirst((x): boolean => {
    const zero = (i: number) => {
      const y = x.operands[i] as Expression;
      return isZero(y) || isZeroWhereMasked(y);
    };
    switch (x.op) {
      case "input":
        return x === mask;
      case "ne":
        return compares(x, "ne", mask);
      case "chain":
      case "div":
      case "neg":
        return zero(0);
      case "mul":
      case "absorb":
      case "and":
        return zero(0) || zero(1);
      case "add":
      case "sub":
      case "min":
      case "max":
      case "or":
        return zero(0) && zero(1);
      case "where": {
        const [condition] = x.operands;
        if (isZeroWhereMasked(condition)) return zero(2);
        return zero(1) && (compares(condition, "eq", mask) || zero(2));
      }
      case "fold":
        return x.attribute.kind === "sum" && x.attribute.from === "vocab" && zero(0);
      default:
        return false;
    }
  });
  return isZeroWhereMasked;
});
