/** The gradient of a row as the kernel writes it: at the target, and at every other entry. */
import { constantValue, type Expression } from "../dsl/expression.js";
import { oncePerNode, rewriter } from "../dsl/graph.js";
import { isTarget, ONE, ZERO } from "../dsl/ops/index.js";
import { simplifier } from "./simplify.js";

export interface GradientParts {
  /** At every entry but the target's. */
  readonly apart: Expression;
  readonly target: Expression;
  /** Values per token whose being 0 makes both 0; none where the gradient is no sum of products. */
  readonly factors: readonly Expression[];
}

/** Whether it is 0 everywhere. */
export const isNothing = ({ apart, target }: GradientParts) => constantValue(apart) === 0 && constantValue(target) === 0;

/** Whatever a kernel must know to write the gradient it must know for these: simplified again, they are made of other values than the gradient is. */
export const gradientParts = oncePerNode((gradient): GradientParts => {
  const at = (value: Expression) => simplifier()(rewriter((x) => (x === isTarget ? value : x))(gradient));
  return { apart: at(ZERO), target: at(ONE), factors: factorsOf(gradient) ?? [] };
});

/** The token-level factors of a gradient that is a sum of products with one each; null where it is no such sum. */
const factorsOf = oncePerNode((gradient): readonly Expression[] | null => {
  const [a, b] = gradient.operands as [Expression, Expression];
  switch (gradient.op) {
    case "add":
    case "sub": {
      const [left, right] = [factorsOf(a), factorsOf(b)];
      return left && right && [...new Set([...left, ...right])];
    }
    case "neg":
      return factorsOf(a);
    case "where": {
      const [, x, y] = gradient.operands as [Expression, Expression, Expression];
      const taken = constantValue(y) === 0 ? factorsOf(x) : constantValue(x) === 0 ? factorsOf(y) : null;
      return taken && a.space !== "vocab" ? taken : null;
    }
    case "chain":
    case "absorb": // whose factor stands first
      return a.space !== "vocab" ? [a] : null;
    default:
      return null;
  }
});
