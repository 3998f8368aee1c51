/** The data that is measured on, the same in every run. */
import type { Shape } from "./shapes.js";

export interface Batch {
  readonly lengths: readonly number[];
  readonly logits: Float32Array;
  readonly target_tokens: Int32Array;
  /** Of a sampler near the policy, nats. */
  readonly logprobs: Float32Array;
  readonly advantages: Float32Array;
}

/** Numbers like those of a trained model's head. */
export function makeBatch({ tokens, vocab, length }: Shape): Batch {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const normal = () => uniform() + uniform() + uniform() + uniform() - 2;
  const logits = new Float32Array(tokens * vocab).map(() => 3 * normal());
  const target_tokens = Int32Array.from({ length: tokens }, () => Math.floor(uniform() * vocab));
  const logprobs = Float32Array.from(
    target_tokens,
    (target, t) => (logits[t * vocab + target] as number) - Math.log(vocab) - 1.5 + 0.2 * normal(),
  );
  const advantages = Float32Array.from({ length: tokens }, normal);
  return { lengths: Array.from({ length: tokens / length }, () => length), logits, target_tokens, logprobs, advantages };
}

/** What a loss declares of it; inputs that it does not know are an error. */
export function inputsOf(batch: Batch, declared: Readonly<Record<string, unknown>>) {
  const { lengths, logits, target_tokens, ...others } = batch;
  return { lengths, logits, target_tokens, ...Object.fromEntries(Object.entries(others).filter(([name]) => name in declared)) };
}
