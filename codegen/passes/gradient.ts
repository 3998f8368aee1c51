/** Reverse-mode differentiation of the graph. Derivatives of ops are rows of the table; here is only the order in which adjoints meet. */
import type { Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { add, fold, foldGradient, type Input, isRowOp, ONE, opRow, rowGradient, ZERO } from "../../dsl/ops/index.js";
import { isFiner, isPerEntry, levelOf, pathTo, type Space } from "../../dsl/spaces.js";
import { gradientName, type Program, type Result } from "../program.js";

/** Adds the gradient of the seeds' sum with respect to the differentiable leaves. */
export function differentiate(program: Program): Program {
  const { differentiable, seeds } = program;
  const order = topological(seeds);
  const leaves = new Set<Expression>(differentiable);
  const live = new Set(leaves);
  for (const x of order) if (passes(x) && x.operands.some((operand) => live.has(operand))) live.add(x);

  const adjoints = new Map<Expression, Expression>();
  const give = (x: Expression, g: Expression) => {
    const known = adjoints.get(x);
    adjoints.set(x, known ? add(known, g) : g);
  };
  for (const seed of seeds) give(seed, ONE);
  for (const x of order.reverse()) {
    const g = adjoints.get(x);
    if (g === undefined || leaves.has(x) || !live.has(x)) continue;
    const { space, contributions } = backward(g, x);
    x.operands.forEach((operand, i) => {
      const contribution = contributions[i];
      if (contribution && live.has(operand)) give(operand, sumBroadcast(contribution, space, operand.space));
    });
  }
  const adjointOf = (leaf: Input) => adjoints.get(leaf) ?? ZERO;
  const row = differentiable.find(({ space }) => isPerEntry(space));
  const results = differentiable
    .filter((leaf) => leaf !== row)
    .map((leaf): Result => {
      const space = levelOf(leaf.space);
      return { name: gradientName(leaf), space, x: adjointOf(leaf), always: true, checked: true };
    });
  return { ...program, results: [...results, ...program.results], rowGradient: row ? adjointOf(row) : null };
}

/** The sum over the elements that an operand was broadcast to. */
function sumBroadcast(contribution: Expression, from: Space, to: Space): Expression {
  if (!isFiner(from, to)) return contribution;
  let reached = from;
  return pathTo(from, to).reduce((x, next) => {
    const sum = fold("sum", x, reached, next);
    reached = next;
    return sum;
  }, contribution);
}

/** Whether any adjoint passes this op. */
function passes(x: Expression): boolean {
  return opRow(x.op)?.gradient !== null;
}

/** The adjoints of the operands of x, and the space in whose elements they are given. */
function backward(
  g: Expression,
  x: Expression,
): { readonly space: Space; readonly contributions: readonly (Expression | null)[] } {
  if (x.op === "fold") return { space: x.attribute.from, contributions: [foldGradient(g, x)] };
  if (isRowOp(x)) return { space: x.operands[0].space, contributions: [rowGradient(g, x)] };
  const derivative = opRow(x.op)?.gradient;
  if (!derivative) throw new Error(`no derivative of ${x.op}`);
  return { space: x.space, contributions: derivative(g, x, ...x.operands) };
}
