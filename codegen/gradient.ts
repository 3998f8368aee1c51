/** Reverse-mode differentiation of the graph. Derivatives of ops are rows of the table; here is only the order in which adjoints meet. */
import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { add, fold, foldGradient, logits, ONE, opRow, policyLogprobs, rowGradient, ZERO } from "../dsl/ops/index.js";
import { isFiner, type Space } from "../dsl/spaces.js";
import type { LossGraph } from "./expand.js";

/** Adds the gradient of the seeds' sum with respect to what the policy gives. */
export function differentiate(graph: LossGraph): LossGraph {
  const leaf = graph.from === "logits" ? logits : policyLogprobs;
  const order = topological(graph.seeds);
  const live = new Set<Expression>([leaf]);
  for (const x of order) if (passes(x) && x.operands.some((operand) => live.has(operand))) live.add(x);

  const adjoints = new Map<Expression, Expression>();
  const give = (x: Expression, g: Expression) => {
    const known = adjoints.get(x);
    adjoints.set(x, known ? add(known, g) : g);
  };
  for (const seed of graph.seeds) give(seed, ONE);
  for (const x of order.reverse()) {
    const g = adjoints.get(x);
    if (g === undefined || x === leaf || !live.has(x)) continue;
    const { space, contributions } = backward(g, x);
    x.operands.forEach((operand, i) => {
      const contribution = contributions[i];
      if (!contribution || !live.has(operand)) return;
      // An operand that was broadcast gathers what reached each of its copies.
      give(operand, isFiner(space, operand.space) ? gathered(contribution, space, operand.space) : contribution);
    });
  }
  return { ...graph, gradient: adjoints.get(leaf) ?? (ZERO as Expression) };
}

/** The sum back over what an operand was broadcast to. A row is folded to its token first: that is what a sweep can do. */
function gathered(contribution: Expression, from: Space, to: Space): Expression {
  const perToken = from === "vocab" ? fold("sum", contribution, from, "token") : contribution;
  const reached = from === "vocab" ? "token" : from;
  return reached === to ? perToken : fold("sum", perToken, reached, to);
}

/** Whether any adjoint passes this op. */
function passes(x: Expression): boolean {
  const row = opRow(x.op);
  return row === undefined || row.gradient !== null;
}

/** What reaches the operands of x, and the space in whose elements it does. */
function backward(
  g: Expression,
  x: Expression,
): { readonly space: Space; readonly contributions: readonly (Expression | null)[] } {
  switch (x.op) {
    case "fold":
      return { space: x.attribute.from as Space, contributions: [foldGradient(g, x)] };
    case "targetLogprob":
    case "rowLogsumexp":
    case "atTarget":
    case "softmax":
    case "logSoftmax":
      return { space: "vocab", contributions: [rowGradient(g, x)] };
  }
  const derivative = opRow(x.op)?.gradient;
  if (!derivative) throw new Error(`no derivative of ${x.op}`);
  return { space: x.space, contributions: derivative(g, x, ...x.operands) };
}
