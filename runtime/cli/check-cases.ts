/** The inputs on which losses go wrong: kinks, masks, entries that are not there, sequences of next to nothing, ties. */
import type { LossDefinition } from "../../dsl/define-loss.js";
import {
  type Batch,
  f32,
  generator,
  isLogprobs,
  logprobsOf,
  middleOf,
  type Ranges,
  randomBatch,
  shapeOf,
} from "./check-inputs.js";

/** One batch to check with, and the kind of input that makes it special. */
export interface CheckCase {
  readonly name: string;
  readonly batch: Batch;
  /** The size of parts that cancel in the gradient: their rounding in float32 is no mistake. */
  readonly floor?: number;
}

export interface CaseOptions {
  readonly seed: number;
  /** Sequences that every group must have. */
  readonly groupSize: number;
  /** Runtime scalars: among them are the bounds at which a loss clips. */
  readonly scalars: Readonly<Record<string, number>>;
  readonly ranges: Ranges;
}

const INFINITE = Number.NEGATIVE_INFINITY;

/** Every case that the loss's inputs allow, the random one first. */
export function casesOf(loss: LossDefinition, options: CaseOptions): CheckCase[] {
  const { seed, groupSize, ranges } = options;
  const batch = (i: number, lengths?: readonly number[]) =>
    randomBatch(loss, seed + i, shapeOf(groupSize, lengths ?? [3, 4, 2, 1], 7), ranges);
  const cases: (CheckCase | null)[] = [
    { name: "random inputs", batch: randomBatch(loss, seed, shapeOf(groupSize), ranges) },
    atBounds(loss, batch(1), options),
    { name: "zero, fractional and negative weights", batch: weighted(loss, batch(2)) },
    { name: "logits of -inf", batch: { ...batch(3), logits: thinned(batch(3), batch(3).logits, seed) } },
    teachers(loss, batch(4), seed),
    { name: "sequences of length 0 and 1", batch: counted(batch(5, [1, 0, 2, 1, 1, 3])) },
    { name: "sequences wholly masked", batch: masked(batch(6)) },
    { name: "ties", batch: tied(loss, batch(7), ranges), floor: 0.1 },
  ];
  return cases.filter((x) => x !== null);
}

/** Every token counts. */
function counted(batch: Batch): Batch {
  return { ...batch, inputs: { ...batch.inputs, weights: batch.target_tokens.map(() => 1) } };
}

/**
 * Ratios of 1, and ratios and log ratios as large as each number of the config. One ratio is none of these: where all ratios are the same, their
 * deviation is nothing but rounding.
 */
function atBounds(loss: LossDefinition, given: Batch, { scalars, ranges }: CaseOptions): CheckCase | null {
  const names = Object.entries(loss.inputs).flatMap(([name, { space }]) => (isLogprobs(name, space, ranges) ? [name] : []));
  if (names.length === 0) return null;
  const batch = counted(given);
  const bounds = Object.values(scalars).flatMap((x) => [...(x > 0 ? [Math.log(x)] : []), x, -x]);
  const distances = [0, 0.3, ...bounds].filter((x) => Math.abs(x) < 10);
  const logprobs = logprobsOf(batch).map((l, t) => f32(l - (distances[t % distances.length] as number)));
  return {
    name: "ratios at the clip bounds",
    batch: { ...batch, inputs: { ...batch.inputs, ...Object.fromEntries(names.map((name) => [name, logprobs])) } },
  };
}

/** Weights of all kinds. Tokens of weight 0 have NaN and -inf in their rows and inputs, which must not matter. */
function weighted(loss: LossDefinition, batch: Batch): Batch {
  const weights = batch.target_tokens.map((_, t) => [1, 0, 0.25, -0.5, 0, 2][t % 6] as number);
  const wreck = (per: number) => (x: number, i: number) => {
    const t = Math.floor(i / per);
    return weights[t] !== 0 ? x : t % 2 === 0 ? INFINITE : Number.NaN;
  };
  const inputs = Object.entries(batch.inputs).map(([name, data]) => {
    const space = loss.inputs[name]?.space;
    if (typeof data === "number" || (space !== "token" && space !== "vocab")) return [name, data] as const;
    return [name, data.map(wreck(space === "vocab" ? batch.vocab : 1))] as const;
  });
  return { ...batch, logits: batch.logits.map(wreck(batch.vocab)), inputs: { ...Object.fromEntries(inputs), weights } };
}

/** A quarter of the entries is not there, and in the first row there is nothing but the target. */
function thinned({ vocab, target_tokens }: Batch, rows: readonly number[], seed: number): number[] {
  const { uniform } = generator(seed ^ 0x5eed);
  return rows.map((z, i) => {
    const t = Math.floor(i / vocab);
    const gone = uniform() < 0.25 || t === 0;
    return gone && i % vocab !== target_tokens[t] ? INFINITE : z;
  });
}

/** The same for the rows that the caller brings. */
function teachers(loss: LossDefinition, batch: Batch, seed: number): CheckCase | null {
  const names = Object.entries(loss.inputs).flatMap(([name, { space }]) => (space === "vocab" ? [name] : []));
  if (names.length === 0) return null;
  const rows = names.map((name) => [name, thinned(batch, batch.inputs[name] as readonly number[], seed + 1)] as const);
  return {
    name: `${names.join(" and ")} of -inf`,
    batch: { ...batch, inputs: { ...batch.inputs, ...Object.fromEntries(rows) } },
  };
}

/** A sequence of the first group, and every sequence of the last. */
function masked(batch: Batch): Batch {
  const [first = 0] = batch.groups;
  const weights = batch.lengths.flatMap((length, sequence) =>
    Array.from({ length }, () => (sequence === 1 || sequence >= first ? 0 : 1)),
  );
  return { ...batch, inputs: { ...batch.inputs, weights } };
}

/** Equal logits in every row, and equal numbers in every input: each maximum and minimum is shared. */
function tied(loss: LossDefinition, batch: Batch, ranges: Ranges): Batch {
  const logits = batch.logits.map(() => 0);
  const [l = 0] = logprobsOf({ ...batch, logits });
  const inputs = Object.entries(batch.inputs).map(([name, data]) => {
    const range = ranges.get(name) ?? { values: [1] };
    const value = isLogprobs(name, loss.inputs[name]?.space ?? "", ranges) ? f32(l) : f32(middleOf(range));
    return [name, typeof data === "number" ? value : data.map(() => value)] as const;
  });
  return { ...batch, logits, inputs: Object.fromEntries(inputs) };
}
