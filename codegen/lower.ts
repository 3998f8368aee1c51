/** After the gradient: what is known of a row becomes folds over it, and `stopGradient` has done its work. */
import type { Expression } from "../dsl/expression.js";
import { rewriter, topological, withOperands } from "../dsl/graph.js";
import { add, atTarget, div, exp2, exponent, fold, log, logprob, mul, ONE, sub } from "../dsl/ops/index.js";
import { type LossGraph, mapGraph } from "./expand.js";

const greatest = (z: Expression) => fold("max", z, "vocab", "token");
/** How far an entry lies below the greatest, in powers of two: what rounding makes of it is the same in all that is told by it. */
const below = (z: Expression) => exponent(z, greatest(z));
const shifted = (z: Expression) => exp2(below(z));
const total = (z: Expression) => fold("sum", shifted(z), "vocab", "token");

export function lower(graph: LossGraph): LossGraph {
  return mapGraph(
    graph,
    rewriter((x) => {
      const z = x.operands[0] as Expression;
      switch (x.op) {
        case "stopGradient":
          return z;
        case "targetLogprob":
          return logprob(entryAtTarget(z), greatest(z), total(z));
        case "rowLogsumexp":
          return add(greatest(z), log(total(z)));
        case "softmax":
          return mul(shifted(z), div(1, total(z)));
        case "logSoftmax":
          return sub(mul(Math.LN2, below(z)), log(total(z)));
        case "atTarget":
          return entryAtTarget(z);
        default:
          return x;
      }
    }),
  );
}

/** The target's entry of a vocabulary expression: the same expression of the target's entries. */
export function entryAtTarget(root: Expression): Expression {
  const entries = new Map<Expression, Expression>();
  const entry = (x: Expression): Expression => {
    if (x.space !== "vocab") return x;
    if (x.op === "isTarget") return ONE;
    if (x.op === "logits" || x.op === "input") return atTarget(x);
    return withOperands(
      x,
      x.operands.map((y) => entries.get(y) as Expression),
    );
  };
  for (const x of topological([root], ({ space }) => space !== "vocab")) entries.set(x, entry(x));
  return entries.get(root) as Expression;
}
