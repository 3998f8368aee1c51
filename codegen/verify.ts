/** The verifier that runs after every pass. What it throws is a fault of lossc's own, named by pass and node. */
import type { Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { opRow } from "../dsl/ops/index.js";
import { finest, isFiner, type Space } from "../dsl/spaces.js";
import { type LossGraph, rootsOf } from "./expand.js";

const LEAVES: Readonly<Record<string, Space | null>> = {
  constant: "batch",
  config: "batch",
  input: null,
  logits: "vocab",
  isTarget: "vocab",
  policyLogprobs: "token",
  placeInGroup: "sequence",
};
const ROWS: Readonly<Record<string, Space>> = {
  targetLogprob: "token",
  rowLogsumexp: "token",
  softmax: "vocab",
  logSoftmax: "vocab",
  atTarget: "token",
};
/** Ops that a pass has removed for good. */
const GONE = {
  expand: ["reduce"],
  gradient: ["reduce"],
  lower: ["reduce", "stopGradient", "targetLogprob", "rowLogsumexp", "softmax", "logSoftmax"],
  simplify: ["reduce", "stopGradient", "targetLogprob", "rowLogsumexp", "softmax", "logSoftmax"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** Checks the graph that the pass left behind, and hands it on. */
export function verify(graph: LossGraph, pass: keyof typeof GONE): LossGraph {
  const fault = (x: Expression, what: string) =>
    new Error(`lossc is at fault: after ${pass} of "${graph.name}", node ${x.id} (${x.op}, ${x.space}) ${what}`);
  const gone: readonly string[] = GONE[pass];
  for (const x of topological(rootsOf(graph))) {
    const problem = gone.includes(x.op) ? "should be gone" : problemOf(x);
    if (problem) throw fault(x, problem);
  }
  for (const x of [...graph.seeds, graph.loss, ...graph.metrics.values()])
    if (x.space !== "batch") throw fault(x, "should be a scalar");
  if (pass !== "expand") {
    const gradient = graph.gradient as Expression;
    const finestAllowed = graph.from === "logits" ? "vocab" : "token";
    if (isFiner(gradient.space, finestAllowed)) throw fault(gradient, `is a gradient finer than ${finestAllowed}`);
  }
  return graph;
}

function problemOf(x: Expression): string | null {
  const row = opRow(x.op);
  if (row) {
    if (x.operands.length !== row.takes.length) return `has ${x.operands.length} operands`;
    if (x.space !== finest(x.operands.map((operand) => operand.space))) return "is not in the finest space of its operands";
    const wrong = x.operands.findIndex(
      (operand, i) => row.takes[i] !== "any" && (operand.dtype === "bool") !== (row.takes[i] === "bool"),
    );
    return wrong < 0 ? null : `has an operand ${wrong} of dtype ${x.operands[wrong]?.dtype}`;
  }
  if (x.op === "fold") {
    const from = x.attribute.from as Space;
    if (!isFiner(from, x.space) || (from === "vocab" && x.space !== "token")) return `folds ${from} into ${x.space}`;
    return isFiner((x.operands[0] as Expression).space, from) ? `folds an operand finer than ${from}` : null;
  }
  const space = x.op in ROWS ? ROWS[x.op] : LEAVES[x.op];
  if (space === undefined) return x.op === "reduce" ? "was not expanded" : "is unknown";
  return space === null || space === x.space ? null : `should live in ${space} space`;
}
