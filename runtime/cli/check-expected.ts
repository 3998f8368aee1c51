/** The results that `lossc check` accepts for a case: those of `reference`, and those on the other side of a kink, where float32 may stand. */
import { withOutputs } from "../../codegen/loss-program.js";
import type { Program } from "../../codegen/program.js";
import { evaluateReference, type ReferenceInput, type ReferenceResult } from "../reference.js";
import type { CheckCase } from "./check-cases.js";
import type { Batch } from "./check-inputs.js";
import { evaluateSided, NEAR, sided, type Undecided, undecidedOf } from "./check-sides.js";

/** A case with the results of `reference`. */
export interface Expected extends CheckCase {
  readonly wanted: ReferenceResult;
  /** The gradient, and those just beside the case: at a kink each is as right as the other. */
  readonly gradients: readonly Float64Array[];
  /** The least and the greatest that the loss is there: where it leaps, every summand is on a side of its own. */
  readonly losses: readonly [least: number, greatest: number];
  /** Values for which no list of sides is complete: one that matches none of the alternatives may still be right. */
  readonly undecided: Undecided;
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
  const withSummands = withOutputs(program, new Map(program.checks.map((summand, i) => [`summand ${i}`, summand])));
  const wanted = evaluateReference(withSummands, input);
  const sequences = batch.lengths.flatMap((length, sequence) => Array.from({ length }, () => sequence));
  const shifted = (by: (sequence: number) => number) => {
    const logits = input.logits.slice();
    batch.target_tokens.forEach((target, t) => {
      const i = t * batch.vocab + target;
      logits[i] = (logits[i] as number) + NEAR * by(sequences[t] as number);
    });
    return { ...input, logits };
  };
  const near = sided(withSummands);
  // All tokens a little up and down, and sequences against each other; with ties where numbers are equal, and where they nearly are.
  const apart = (sequence: number) => (sequence % 2) * 2 - 1;
  const sides = [() => 0, () => 1, () => -1, apart, (sequence: number) => -apart(sequence)];
  const all = [
    wanted,
    ...sides.map((by) => evaluateReference(withSummands, shifted(by))),
    ...sides.map((by) => evaluateSided(near, shifted(by), () => 0)),
  ];
  return {
    ...given,
    wanted,
    gradients: all.map(({ gradient }) => gradient),
    losses: [lossOf(all, Math.min), lossOf(all, Math.max)],
    undecided: undecidedOf(near, input, wanted),
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
