/** Inputs for `lossc check`, from a seed: random ones, and with them the shapes that the nasty cases start from. */
import type { LossDefinition } from "../../dsl/define-loss.js";

/** One batch, in the form in which `forwardBackward` takes it. */
export interface Batch {
  readonly lengths: readonly number[];
  readonly groups: readonly number[];
  readonly vocab: number;
  readonly logits: readonly number[];
  readonly target_tokens: readonly number[];
  /** Inputs of the loss, and weights. */
  readonly inputs: Readonly<Record<string, readonly number[] | number>>;
}

export interface Shape {
  readonly lengths: readonly number[];
  readonly groups: readonly number[];
  readonly vocab: number;
}

/** Small enough for finite differences of every logit, with every shape that matters: several sequences to a group, an odd vocabulary. */
export function shapeOf(groupSize: number, lengths: readonly number[] = [4, 3, 5, 2], vocab = 17): Shape {
  const size = Math.max(2, groupSize);
  return {
    lengths: Array.from({ length: 2 * size }, (_, i) => lengths[i % lengths.length] as number),
    groups: [size, size],
    vocab,
  };
}

/** Numbers from a 32-bit seed: a counter that is hashed. */
export function generator(seed: number): { uniform(): number; normal(): number } {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
  return { uniform, normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()) };
}

/** A number that float32 holds, so that every device is given the same. */
export const f32 = Math.fround;

/** Where the numbers of an input lie: between two, or among a few, as those of a mask are. */
export type Range = { readonly least: number; readonly most: number } | { readonly values: readonly number[] };

/** Where inputs lie, by their names. */
export type Ranges = ReadonlyMap<string, Range>;

function numberIn(range: Range, uniform: () => number): number {
  if ("values" in range) return range.values[Math.floor(uniform() * range.values.length)] as number;
  return range.least + uniform() * (range.most - range.least);
}

/** The number that stands for all of a range, where all are to be equal. */
export function middleOf(range: Range): number {
  if ("values" in range) return range.values[Math.floor(range.values.length / 2)] as number;
  return (range.least + range.most) / 2;
}

/** A batch of numbers that are none of them special; two tokens have the weight 0. */
export function randomBatch(loss: LossDefinition, seed: number, shape: Shape = shapeOf(0), ranges: Ranges = new Map()): Batch {
  const { uniform, normal } = generator(seed);
  const { lengths, groups, vocab } = shape;
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const logits = Array.from({ length: tokens * vocab }, () => f32(2 * normal()));
  const target_tokens = Array.from({ length: tokens }, () => Math.floor(uniform() * vocab));
  const logprobs = logprobsOf({ logits, target_tokens, vocab });
  const weights = logprobs.map((_, t) => (t === 1 || t === 9 ? 0 : f32(0.5 + uniform())));
  const counts = { vocab: tokens * vocab, token: tokens, sequence: lengths.length, group: groups.length, entry: vocab, batch: 1 };
  const inputs = Object.entries(loss.inputs).map(([name, { space }]) => {
    const range = ranges.get(name);
    const number = () => f32(range === undefined ? normal() : numberIn(range, uniform));
    if (space === "batch") return [name, number()] as const;
    // Inputs called logprobs are near the policy's, as in use: ratios far from 1 would check nothing but clipping.
    const near = isLogprobs(name, space, ranges);
    const numbers = Array.from({ length: counts[space] }, (_, i) =>
      near ? f32(Math.min(0, (logprobs[i] as number) + 0.3 * normal())) : number(),
    );
    return [name, numbers] as const;
  });
  return { ...shape, logits, target_tokens, inputs: { ...Object.fromEntries(inputs), weights } };
}

/** Whether an input holds log-probabilities of the same tokens, by its name, and has no `--range`. */
export function isLogprobs(name: string, space: string, ranges: Ranges): boolean {
  return space === "token" && name.endsWith("logprobs") && !ranges.has(name);
}

/** log p(target) of each token. */
export function logprobsOf({ logits, target_tokens, vocab }: Pick<Batch, "logits" | "target_tokens" | "vocab">): number[] {
  return target_tokens.map((target, t) => {
    const row = logits.slice(t * vocab, (t + 1) * vocab);
    const greatest = Math.max(...row);
    return (row[target] as number) - greatest - Math.log(row.reduce((sum, z) => sum + Math.exp(z - greatest), 0));
  });
}
