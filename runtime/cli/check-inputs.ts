/** Random inputs for `lossc check`, from a seed. */
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

/** Small enough for finite differences of every logit, with every shape that matters: several sequences to a group, an odd vocabulary, masked tokens. */
const LENGTHS = [4, 3, 5, 2];
const GROUPS = [2, 2];
const VOCAB = 17;
const TOKENS = LENGTHS.reduce((sum, length) => sum + length, 0);

/** Numbers from a 32-bit seed: a counter that is hashed. */
function generator(seed: number): { uniform(): number; normal(): number } {
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
const f32 = Math.fround;

export function randomBatch(loss: LossDefinition, seed: number): Batch {
  const { uniform, normal } = generator(seed);
  const logits = Array.from({ length: TOKENS * VOCAB }, () => f32(2 * normal()));
  const target_tokens = Array.from({ length: TOKENS }, () => Math.floor(uniform() * VOCAB));
  const logprobs = target_tokens.map((target, t) => logprob(logits.slice(t * VOCAB, (t + 1) * VOCAB), target));
  const weights = logprobs.map((_, t) => (t === 1 || t === 9 ? 0 : f32(0.5 + uniform())));
  const counts = { vocab: TOKENS * VOCAB, token: TOKENS, sequence: LENGTHS.length, group: GROUPS.length, batch: 1 };
  const inputs = Object.entries(loss.inputs).map(([name, { space }]) => {
    if (space === "batch") return [name, f32(normal())] as const;
    // What is called logprobs is near the policy's, as it is in use: ratios far from 1 would check nothing but clipping.
    const near = space === "token" && name.endsWith("logprobs");
    return [
      name,
      Array.from({ length: counts[space] }, (_, i) =>
        f32(near ? Math.min(0, (logprobs[i] as number) + 0.3 * normal()) : normal()),
      ),
    ] as const;
  });
  return {
    lengths: LENGTHS,
    groups: GROUPS,
    vocab: VOCAB,
    logits,
    target_tokens,
    inputs: { ...Object.fromEntries(inputs), weights },
  };
}

function logprob(row: readonly number[], target: number): number {
  const greatest = Math.max(...row);
  return (row[target] as number) - greatest - Math.log(row.reduce((sum, z) => sum + Math.exp(z - greatest), 0));
}
