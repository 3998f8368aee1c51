/** Reverse-mode differentiation of the graph. Derivatives of ops are rows of the table; here is only the order in which adjoints meet. */
import type { Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { add, fold, foldGradient, type Input, isRowOp, opRow, rowGradient, ZERO } from "../../dsl/ops/index.js";
import { isFiner, isPerEntry, join, levelOf, pathTo, type Space } from "../../dsl/spaces.js";
import { gradientName, type Program, type Result } from "../program.js";

/** Adds the adjoints of the differentiable leaves that follow from those of the seeds, and drops the seeds. */
export function differentiate(program: Program): Program {
  const { differentiable, seeds } = program;
  const order = topological(seeds.map(({ x }) => x));
  const leaves = new Set<Expression>(differentiable);
  const live = new Set(leaves);
  for (const x of order) if (passes(x) && x.operands.some((operand) => live.has(operand))) live.add(x);

  /**
   * By the space in whose elements they are given. It is the value's own, but for an entry's value that met rows: its adjoint is not summed down the
   * columns, and stays one per entry of each row until it reaches a value without entries.
   */
  const adjoints = new Map<Expression, Map<Space, Expression>>();
  const give = (x: Expression, space: Space, g: Expression) => {
    const known = adjoints.get(x) ?? new Map<Space, Expression>();
    const before = known.get(space);
    adjoints.set(x, known.set(space, before ? add(before, g) : g));
  };
  for (const { x, adjoint } of seeds) give(x, x.space, adjoint);
  for (const x of order.reverse()) {
    if (leaves.has(x) || !live.has(x)) continue;
    for (const [given, g] of adjoints.get(x) ?? []) {
      const { space, contributions } = backward(g, given, x);
      x.operands.forEach((operand, i) => {
        const contribution = contributions[i];
        if (!contribution || !live.has(operand)) return;
        if (isPerEntry(operand.space)) give(operand, space, contribution);
        else give(operand, operand.space, sumBroadcast(contribution, space, operand.space));
      });
    }
  }
  const adjointOf = (leaf: Input) => adjoints.get(leaf)?.get(leaf.space) ?? ZERO;
  const row = differentiable.find(({ space }) => isPerEntry(space));
  const other = differentiable.find((leaf) => isPerEntry(leaf.space) && leaf !== program.rows?.leaf);
  if (other) throw new Error(`"${program.name}" is differentiable by a second row, "${other.attribute.name}"`);
  const results = differentiable
    .filter((leaf) => leaf !== row)
    .map((leaf): Result => {
      const space = levelOf(leaf.space);
      return { name: gradientName(leaf), space, x: adjointOf(leaf), always: true, checked: true };
    });
  return { ...program, seeds: [], results: [...results, ...program.results], rowGradient: row ? adjointOf(row) : null };
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

/** The adjoints of the operands of x, and the space in whose elements they are given. `given`: that of its own adjoint, g. */
function backward(
  g: Expression,
  given: Space,
  x: Expression,
): { readonly space: Space; readonly contributions: readonly (Expression | null)[] } {
  if (x.op === "fold") return { space: x.attribute.from, contributions: [foldGradient(g, x)] };
  // A row is read per token, also where all tokens share it.
  if (isRowOp(x)) return { space: join([x.space, x.operands[0].space]), contributions: [rowGradient(g, x)] };
  const derivative = opRow(x.op)?.gradient;
  if (!derivative) throw new Error(`no derivative of ${x.op}`);
  return { space: given, contributions: derivative(g, x, ...x.operands) };
}
