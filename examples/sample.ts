/** Drawing text from the model. */
import type { NgramModel } from "./model.js";
import type { Random } from "./random.js";

export interface Sample {
  readonly prompt: Int32Array;
  /** The text that was sampled after the prompt. */
  readonly tokens: Int32Array;
  /** log p of each drawn token at the time it was drawn: what off-policy losses call `logprobs`. */
  readonly logprobs: Float32Array;
}

/** Goes on from every prompt for `length` characters, all at once, at temperature 1. */
export async function drawSamples(
  model: NgramModel,
  prompts: readonly Int32Array[],
  length: number,
  random: Random,
): Promise<Sample[]> {
  const { vocab } = model.shape;
  const sequences = prompts.map((prompt) => [...prompt]);
  const logprobs = prompts.map(() => new Float32Array(length));
  for (let t = 0; t < length; t++) {
    const logits = await model.next(sequences);
    sequences.forEach((sequence, i) => {
      const { token, logprob } = draw(logits.subarray(i * vocab, (i + 1) * vocab), random);
      sequence.push(token);
      (logprobs[i] as Float32Array)[t] = logprob;
    });
  }
  return prompts.map((prompt, i) => ({
    prompt,
    tokens: Int32Array.from((sequences[i] as number[]).slice(prompt.length)),
    logprobs: logprobs[i] as Float32Array,
  }));
}

function draw(logits: Float32Array, random: Random): { token: number; logprob: number } {
  const greatest = logits.reduce((a, b) => Math.max(a, b));
  const masses = Float64Array.from(logits, (logit) => Math.exp(logit - greatest));
  const total = masses.reduce((a, b) => a + b, 0);
  let rest = random.uniform() * total;
  let token = 0;
  while (token < masses.length - 1 && rest >= (masses[token] as number)) rest -= masses[token++] as number;
  return { token, logprob: (logits[token] as number) - greatest - Math.log(total) };
}
