/** Batches of hidden states and heads for any loss, and what `reference` says of them by way of their logits. */
import type { LossDefinition } from "../../dsl/index.js";
import type { LossInputs } from "../../runtime/devices/device.js";
import { openDevice } from "../../runtime/index.js";
import { numbersFrom } from "../sample.js";

export const LENGTHS = [3, 0, 2, 4, 1, 3];
export const GROUPS = [2, 2, 2];
export const TOKENS = LENGTHS.reduce((a, b) => a + b);
export const WIDTH = 5;

export interface HeadBatch {
  readonly hidden: Float32Array;
  readonly head: Float32Array;
  readonly target_tokens: Int32Array;
  readonly vocab: number;
  /** Everything else that the loss takes. */
  readonly others: Omit<LossInputs, "logits" | "hidden" | "head">;
}

/** Numbers that halves hold exactly where `halves`, so that no device rounds what it is given. */
export function headBatch(loss: LossDefinition, vocab: number, { halves = false, seed = 1 } = {}): HeadBatch {
  const random = numbersFrom(seed + vocab);
  const number = (scale: number) => (halves ? Math.round((random() - 0.5) * 64) / 32 : (random() - 0.5) * 2) * scale;
  const counts = { token: TOKENS, sequence: LENGTHS.length, group: GROUPS.length, vocab: TOKENS * vocab, entry: vocab, batch: 1 };
  const given = Object.entries(loss.inputs).map(([name, { space }]) => {
    const values = Float32Array.from({ length: counts[space] }, () => random() - 0.5);
    const shift = name.endsWith("logprobs") ? -Math.log(vocab) : 0;
    return [name, space === "batch" ? (values[0] as number) : values.map((x) => x + shift)] as const;
  });
  return {
    hidden: Float32Array.from({ length: TOKENS * WIDTH }, () => number(1)),
    head: Float32Array.from({ length: vocab * WIDTH }, () => number(1)),
    target_tokens: Int32Array.from({ length: TOKENS }, (_, t) => [0, vocab - 1, Math.floor(random() * vocab)][t % 3] as number),
    vocab,
    others: { ...Object.fromEntries(given), lengths: LENGTHS, groups: GROUPS } as HeadBatch["others"],
  };
}

export interface Expected {
  readonly loss: number;
  readonly logprobs: Float64Array;
  readonly gradHidden: Float64Array;
  readonly gradHead: Float64Array;
}

/** By way of all logits, in float64: the products are written here a second time, which is what an oracle is for. */
export async function expectedOf(loss: LossDefinition, batch: HeadBatch): Promise<Expected> {
  const { hidden, head, vocab, target_tokens, others } = batch;
  const dot = (a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number) => {
    let sum = 0;
    for (let h = 0; h < WIDTH; h++) sum += (a[i * WIDTH + h] as number) * (b[j * WIDTH + h] as number);
    return sum;
  };
  const logits = Float64Array.from({ length: TOKENS * vocab }, (_, i) => dot(hidden, Math.floor(i / vocab), head, i % vocab));
  await using reference = await openDevice("reference");
  const result = await (await reference.compile(loss)).forwardBackward(
    { ...others, target_tokens, logits } as LossInputs,
    {},
    {
      nonFinite: "propagate",
    },
  );
  const gradient = result.gradLogits as Float64Array;
  const [gradHidden, gradHead] = [new Float64Array(hidden.length), new Float64Array(head.length)];
  gradient.forEach((g, i) => {
    const [t, v] = [Math.floor(i / vocab), i % vocab];
    for (let h = 0; h < WIDTH && g !== 0; h++) {
      gradHidden[t * WIDTH + h] = (gradHidden[t * WIDTH + h] as number) + g * (head[v * WIDTH + h] as number);
      gradHead[v * WIDTH + h] = (gradHead[v * WIDTH + h] as number) + g * (hidden[t * WIDTH + h] as number);
    }
  });
  return { loss: result.loss, logprobs: result.logprobs as Float64Array, gradHidden, gradHead };
}
