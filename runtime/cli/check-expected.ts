/** What `reference` makes of a case, and what is as right where float32 stands on the other side of a kink. */
import { outputName } from "../../codegen/loss-program.js";
import { mapProgram, type Program } from "../../codegen/program.js";
import type { Expression } from "../../dsl/expression.js";
import { operandsFirst, rewriter, topological } from "../../dsl/graph.js";
import { abs, add, and, le, mul, not, sub, where, ZERO } from "../../dsl/ops/index.js";
import { isPerEntry } from "../../dsl/spaces.js";
import { evaluateReference, type ReferenceInput, type ReferenceResult } from "../reference.js";
import type { CheckCase } from "./check-cases.js";
import type { Batch } from "./check-inputs.js";

/** How far float32 may have moved a logprob, or one of two numbers that meet. */
const NEAR = 4e-6;

/** A case with what `reference` makes of it. */
export interface Expected extends CheckCase {
  readonly wanted: ReferenceResult;
  /** The gradient, and those just beside the case: at a kink each is as right as the other. */
  readonly gradients: readonly Float64Array[];
  /** The least and the greatest that the loss is there: where it leaps, every summand is on a side of its own. */
  readonly losses: readonly [least: number, greatest: number];
}

export function referenceInput(
  batch: Batch,
  config: Readonly<Record<string, number>>,
): ReferenceInput & { readonly logits: Float64Array } {
  return {
    lengths: batch.lengths,
    groups: batch.groups,
    vocab: batch.vocab,
    logits: Float64Array.from(batch.logits),
    targetTokens: Int32Array.from(batch.target_tokens),
    policyLogprobs: null,
    inputs: Object.fromEntries(
      Object.entries(batch.inputs).map(([name, data]) => [
        name,
        typeof data === "number" ? Float64Array.of(data) : Float64Array.from(data),
      ]),
    ),
    config,
    skipMasked: false,
  };
}

export function expectedOf(program: Program, given: CheckCase, scalars: Readonly<Record<string, number>>): Expected {
  const { batch } = given;
  const input = referenceInput(batch, scalars);
  const told = { ...program, results: [...withoutOutputs(program), ...summandsOf(program)] };
  const wanted = evaluateReference(told, input);
  const sequences = batch.lengths.flatMap((length, sequence) => Array.from({ length }, () => sequence));
  const shifted = (of: Program, by: (sequence: number) => number) => {
    const logits = input.logits.slice();
    batch.target_tokens.forEach((target, t) => {
      const i = t * batch.vocab + target;
      logits[i] = (logits[i] as number) + NEAR * by(sequences[t] as number);
    });
    return evaluateReference(of, { ...input, logits });
  };
  // All tokens a little up and down, and sequences against each other; with ties where numbers are equal, and where they nearly are.
  const apart = (sequence: number) => (sequence % 2) * 2 - 1;
  const sides = [() => 0, () => 1, () => -1, apart, (sequence: number) => -apart(sequence)];
  const all = [wanted, ...[told, nearlyTied(told)].flatMap((of) => sides.map((by) => shifted(of, by)))];
  return {
    ...given,
    wanted,
    gradients: all.map(({ gradient }) => gradient),
    losses: [lossOf(all, Math.min), lossOf(all, Math.max)],
  };
}

/** The sum of each summand's least, or greatest. */
function lossOf(all: readonly ReferenceResult[], most: (...values: number[]) => number): number {
  const [{ outputs }] = all as [ReferenceResult];
  return Object.entries(outputs).reduce((sum, [key, values]) => {
    const sides = all.map((one) => one.outputs[key] as Float64Array);
    return values.reduce((total, _, i) => total + most(...sides.map((side) => side[i] as number)), sum);
  }, 0);
}

const isOfPolicy = operandsFirst((x): boolean => (x.op === "input" && x.attribute.differentiable) || x.operands.some(isOfPolicy));

const withoutOutputs = ({ results }: Program) => results.filter(({ name }) => !name.startsWith(outputName("")));
/** The terms of the loss as outputs. */
const summandsOf = ({ checks }: Program) =>
  checks.map((summand, i) => ({ ...summand, name: outputName(`summand ${i}`), always: false }));

/** The program with a gradient and outputs that take numbers for equal where float32 may have made them so. */
function nearlyTied(program: Program): Program {
  const outputs = program.results.filter(({ name }) => name.startsWith(outputName("")));
  const roots = [...outputs.map(({ x }) => x), ...(program.rowGradient ? [program.rowGradient] : [])];
  const nodes = topological(roots);
  const pair = (x: Expression) => x.operands.map(({ id }) => id).join();
  const tied = new Set(nodes.flatMap((x) => (x.op === "eq" ? [pair(x), pair(x).split(",").reverse().join()] : [])));
  const close = (x: Expression, y: Expression): Expression => {
    // Differences of logprobs are as inexact as those are, however small they come out.
    const least = isOfPolicy(x) || isOfPolicy(y) ? 1 : 0;
    return le(abs(sub(x, y)), mul(NEAR, add(least, add(abs(x), abs(y)))));
  };
  const change = rewriter((x) => {
    if (x.op !== "eq" && x.op !== "gt" && x.op !== "lt" && x.op !== "sign") return x;
    const [a, b = ZERO] = x.operands;
    if (a.op === "placeInGroup" || x.operands.some(({ space }) => isPerEntry(space))) return x;
    if (x.op === "eq") return close(a, b);
    if (x.op === "sign") return where(close(a, b), 0, x);
    return tied.has(pair(x)) ? and(x, not(close(a, b))) : x;
  });
  const others = withoutOutputs(program);
  const changed = mapProgram({ ...program, results: outputs, seeds: [], checks: [] }, change);
  return { ...program, rowGradient: changed.rowGradient, results: [...others, ...changed.results] };
}
