/** The verifier that runs after every pass. What it throws is a fault of lossc's own, named by pass and node. */
import type { Expression } from "../../dsl/expression.js";
import { oncePerNode, topological } from "../../dsl/graph.js";
import { isRowOp, LEAVES, opRow, ROW_OPS } from "../../dsl/ops/index.js";
import { isFiner, isPerEntry, join, levelOf, reaches, type Space } from "../../dsl/spaces.js";
import type { Program } from "../program.js";
import type { Pass } from "./pass.js";

/** Checks the program that the pass left behind, and hands it on. */
export function verify(program: Program, { name, gone }: Pass): Program {
  const fault = (x: Expression, what: string) =>
    new Error(`lossc is at fault: after ${name} of "${program.name}", node ${x.id} (${x.op}, ${x.space}) ${what}`);
  const { rowGradient: gradient, splitGradient: split } = program;
  const placed = [...program.results, ...program.checks];
  if (gradient && !program.rows) throw fault(gradient, "is a gradient per entry where there are no rows");
  for (const x of topological([
    ...program.seeds.flatMap(({ x, adjoint }) => [x, adjoint]),
    ...placed.map(({ x }) => x),
    ...(gradient ? [gradient] : []),
    ...(split ? [split.others, split.named, ...split.factors] : []),
  ])) {
    const problem = gone.has(x.op) ? "should be gone" : (problemOf(x) ?? problemIn(x, program));
    if (problem) throw fault(x, problem);
  }
  for (const { x, adjoint } of program.seeds)
    if (!reaches(x.space, adjoint.space)) throw fault(adjoint, `is an adjoint of a value per ${x.space}`);
  for (const { space, x } of placed)
    if (!reaches(space, x.space)) throw fault(x, space === "batch" ? "should be a scalar" : `is wanted per ${space}`);
  return program;
}

/** The problem of a leaf, or of a named entry, in its program; null where it has none. */
function problemIn(x: Expression, { inputs, rows }: Program): string | null {
  if (x.op === "input") {
    const { name } = x.attribute;
    return inputs[name]?.space === x.space ? null : `is the input "${name}", which the program does not have there`;
  }
  if (x.op !== "at" && x.op !== "isAt" && x.op !== "logprobAt") return null;
  return x.attribute.index === rows?.index ? null : `asks for the entry that "${x.attribute.index}" names`;
}

/** The problem of a node by itself, null where it has none. Most nodes outlive several passes, and are looked at once. */
export const problemOf = oncePerNode((x): string | null => {
  const row = opRow(x.op);
  if (row) {
    if (x.operands.length !== row.takes.length) return `has ${x.operands.length} operands`;
    if (x.space !== join(x.operands.map((operand) => operand.space))) return "is not in the finest space of its operands";
    const wrong = x.operands.findIndex(
      (operand, i) => row.takes[i] !== "any" && (operand.dtype === "bool") !== (row.takes[i] === "bool"),
    );
    if (wrong >= 0) return `has an operand ${wrong} of dtype ${x.operands[wrong]?.dtype}`;
    const any = new Set(x.operands.filter((_, i) => row.takes[i] === "any").map(({ dtype }) => dtype));
    if (any.size > 1) return "has operands of two dtypes";
    const dtype = row.gives === "same" ? x.operands.at(-1)?.dtype : row.gives === "bool" ? "bool" : "f32";
    return x.dtype === dtype ? null : `is of dtype ${x.dtype}`;
  }
  if (x.op === "fold") {
    const { from } = x.attribute;
    if (!isFiner(from, x.space) || (isPerEntry(from) && x.space !== levelOf(from))) return `folds ${from} into ${x.space}`;
    return reaches(from, x.operands[0].space) ? null : `folds an operand of another space than ${from}`;
  }
  if (x.op === "reduce") return "was not spelt out";
  const space = spaceOf(x);
  if (space === undefined) return "is unknown";
  return space === null || space === x.space ? null : `should live in ${space} space`;
});

/** The space that a node of this op lives in: null of a leaf that has its own, undefined of an op that nobody knows. */
function spaceOf(x: Exclude<Expression, { readonly op: "fold" | "reduce" }>): Space | null | undefined {
  if (isRowOp(x)) return ROW_OPS[x.op].gives === "row" ? x.operands[0].space : "token";
  const leaves: Readonly<Record<string, { readonly space: Space | null } | undefined>> = LEAVES;
  return leaves[x.op]?.space;
}
