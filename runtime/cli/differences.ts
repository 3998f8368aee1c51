/** Finite differences of a loss in float64, with what stands under `stopGradient` held still. */
import type { LossGraph } from "../../codegen/expand.js";
import type { ElementSpace } from "../../codegen/plan.js";
import type { Expression } from "../../dsl/expression.js";
import { topological, withOperands } from "../../dsl/graph.js";
import { input as inputNode, ZERO } from "../../dsl/ops/index.js";
import { evaluateReference, type ReferenceInput } from "../reference.js";

/** Steps of a logit: a second, smaller one for the rare entry that has a kink within the first. */
const STEPS = [1e-5, 1e-7];

/** Central differences of the loss by each logit, for each of the steps. */
export function finiteDifferences(
  graph: LossGraph,
  input: ReferenceInput & { readonly logits: Float64Array },
): readonly Float64Array[] {
  const still = held(graph, input);
  const logits = input.logits.slice();
  const given = { ...input, logits, inputs: { ...input.inputs, ...still.values } };
  const lossAt = (index: number, value: number) => {
    const before = logits[index] as number;
    logits[index] = value;
    const { loss } = evaluateReference(still.graph, given);
    logits[index] = before;
    return loss;
  };
  return STEPS.map((step) => logits.map((z, i) => (lossAt(i, z + step) - lossAt(i, z - step)) / (2 * step)));
}

/** The graph with nothing but its loss, each `stopGradient` an input with the value that it has now. */
function held(
  graph: LossGraph,
  input: ReferenceInput,
): { readonly graph: LossGraph; readonly values: Readonly<Record<string, Float64Array>> } {
  const stops = topological([graph.loss]).filter((x) => x.op === "stopGradient");
  const names = new Map(stops.map((x, i) => [x, `stopGradient ${i}`]));
  const wanted = new Map(stops.map((x) => [names.get(x) as string, { space: x.space as ElementSpace, x }]));
  const { outputs } = evaluateReference({ ...graph, outputs: wanted }, input);
  const loss = replaced(graph.loss, names);
  return {
    graph: { ...graph, loss, summands: [], seeds: [], gradient: ZERO as Expression, metrics: new Map(), outputs: new Map() },
    values: outputs,
  };
}

function replaced(root: Expression, names: ReadonlyMap<Expression, string>): Expression {
  const rebuilt = new Map<Expression, Expression>();
  for (const x of topological([root])) {
    const name = names.get(x);
    const operands = x.operands.map((operand) => rebuilt.get(operand) as Expression);
    rebuilt.set(x, name === undefined ? withOperands(x, operands) : inputNode(name, x.space));
  }
  return rebuilt.get(root) as Expression;
}
