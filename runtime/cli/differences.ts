/** Finite differences of a loss in float64, with operands of `stopGradient` held still. */
import { LOGPROBS, LOSS, withOutputs } from "../../codegen/loss-program.js";
import { type Program, resultOf } from "../../codegen/program.js";
import type { ElementSpace } from "../../codegen/schedule/plan.js";
import type { Expression } from "../../dsl/expression.js";
import { bottomUp, topological, withOperands } from "../../dsl/graph.js";
import { input as inputNode, ZERO } from "../../dsl/ops/index.js";
import { evaluateReference, type ReferenceInput } from "../reference.js";

/** Steps of a logit. The smaller ones distinguish a slope that bends from one that breaks, which the first cannot. */
const [STEP, SMALLER, SMALLEST] = [1e-5, 1e-6, 1e-7];
/** A difference of the two one-sided slopes that matters, of the greatest slope. */
const MATTERS = 1e-6;

export interface Differences {
  /** Central differences of the loss by each logit, with each step. */
  readonly values: readonly Float64Array[];
  /** Entries at a kink: the slopes to the left and to the right differ, however small the step. They have no derivative to compare with. */
  readonly kinks: ReadonlySet<number>;
  /** Entries beside a kink or a pole: the slope does not settle as the step shrinks. */
  readonly unsettled: ReadonlySet<number>;
}

/** The slope of the loss along each logit that is there, with operands of `stopGradient` held still. */
export function finiteDifferences(program: Program, input: ReferenceInput & { readonly logits: Float64Array }): Differences {
  const still = held(program, input);
  const logits = input.logits.slice();
  const given = { ...input, logits, inputs: { ...input.inputs, ...still.values } };
  const lossAt = (index: number, value: number) => {
    const before = logits[index] as number;
    logits[index] = value;
    const { loss } = evaluateReference(still.program, given);
    logits[index] = before;
    return loss;
  };
  const { loss: here } = evaluateReference(still.program, given);
  const slopes = (i: number, step: number): Slopes => {
    const z = logits[i] as number;
    return [(here - lossAt(i, z - step)) / step, (lossAt(i, z + step) - here) / step];
  };
  const at = Array.from(logits, (z, i) => (Number.isFinite(z) ? slopes(i, STEP) : ([0, 0] satisfies Slopes)));
  // Where the loss leaps, one of the slopes is the height over the step: no slope at all.
  const greatest = Math.max(1e-3, ...at.map(([left, right]) => Math.min(Math.abs(left), Math.abs(right))));
  const values = [STEP, SMALLER, SMALLEST].map(() => Float64Array.from(at, centre));
  const kinks = new Set<number>();
  const unsettled = new Set<number>();
  at.forEach((slope, i) => {
    if (gapOf(slope) <= MATTERS * greatest) return;
    const [near, nearest] = [slopes(i, SMALLER), slopes(i, SMALLEST)];
    (values[1] as Float64Array)[i] = centre(near);
    (values[2] as Float64Array)[i] = centre(nearest);
    // Where the slope bends the gap is a tenth with a tenth of the step; where it breaks it is more.
    if (gapOf(near) > 0.12 * gapOf(slope) && gapOf(near) > MATTERS * greatest) kinks.add(i);
    if (Math.abs(centre(near) - centre(nearest)) > MATTERS * Math.max(greatest, Math.abs(centre(nearest)))) unsettled.add(i);
  });
  return { values, kinks, unsettled };
}

type Slopes = readonly [left: number, right: number];
const centre = ([left, right]: Slopes): number => (left + right) / 2;
const gapOf = ([left, right]: Slopes): number => Math.abs(right - left);

/** The program with nothing but its loss, each `stopGradient` an input with the value that it has now. */
function held(
  program: Program,
  input: ReferenceInput,
): { readonly program: Program; readonly values: Readonly<Record<string, Float64Array>> } {
  const loss = resultOf(program, LOSS);
  const stops = topological([loss.x]).filter((x) => x.op === "stopGradient");
  const names = new Map<Expression, string>(stops.map((x, i) => [x, `stopGradient ${i}`]));
  const wanted = stops.map((x, i) => [`stopGradient ${i}`, { space: x.space as ElementSpace, x }] as const);
  const { outputs } = evaluateReference(withOutputs(program, new Map(wanted)), input);
  const logprobs = program.rows ? [resultOf(program, LOGPROBS)] : [];
  const results = [{ ...loss, x: replaced(loss.x, names) }, ...logprobs];
  return { program: { ...program, results, checks: [], seeds: [], rowGradient: ZERO }, values: outputs };
}

function replaced(root: Expression, names: ReadonlyMap<Expression, string>): Expression {
  return bottomUp((x, operands: readonly Expression[]) => {
    const name = names.get(x);
    return name === undefined ? withOperands(x, operands) : inputNode(name, x.space);
  })(root);
}
