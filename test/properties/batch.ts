/** Random batches: every number is exactly a float32, and many are equal, so that ties are ties on every device. */

import type { LossInputs } from "../../runtime/devices/device.js";
import type { ReferenceInput } from "../../runtime/reference.js";
import { numbersFrom } from "../sample.js";

export interface BatchOptions {
  readonly from: "logits" | "policy_logprobs";
  readonly groups: boolean;
  readonly vocab: number;
  readonly rows?: boolean;
  /** Nothing that finite differences cannot see through: no ties, no infinities, no equal numbers. */
  readonly smooth: boolean;
  /** Left out: a few short ones. */
  readonly lengths?: readonly number[];
  /** Every weight is 0. */
  readonly masked?: boolean;
}

export interface Batch {
  readonly input: ReferenceInput;
  readonly given: LossInputs;
  readonly skipMasked: boolean;
}

export function batchOf(seed: number, options: BatchOptions): Batch {
  const { from, groups: grouped, vocab, smooth, rows, masked = false } = options;
  const random = numbersFrom(seed);
  const below = (n: number) => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const sequences = options.lengths?.length ?? 1 + below(4);
  const lengths = options.lengths ?? Array.from({ length: sequences }, () => pick([0, 1, 1, 2, 3, 5, 7]));
  const tokens = lengths.reduce((a, b) => a + b, 0);
  const groups: number[] = [];
  for (let left = sequences; grouped && left > 0; left -= groups.at(-1) as number) groups.push(1 + below(left));

  const grid = !smooth && random() < 0.5;
  const number = () => (grid ? (below(9) - 4) / 2 : Math.fround((random() + random() + random() - 1.5) * 2));
  const numbers = (n: number) => Float64Array.from({ length: n }, number);
  const weightKind = below(4);
  const weight = () => (masked ? 0 : weightKind === 0 ? 1 : pick(smooth ? [0, 1, 0.5, -1, 2.25] : [0, 0, 1, 0.5, -1, 2.25]));
  const weights = Float64Array.from({ length: tokens }, weight);
  const withInfinities = !smooth && random() < 0.3;
  const logits = from === "logits" ? numbers(tokens * vocab) : null;
  const targetTokens = Int32Array.from({ length: tokens }, () => below(vocab));
  if (logits) {
    for (let i = 0; withInfinities && i < logits.length; i++) if (random() < 0.1) logits[i] = Number.NEGATIVE_INFINITY;
    for (let t = 0; t < tokens; t++) {
      // Equal rows: equal logprobs, bit for bit.
      if (!smooth && t > 0 && random() < 0.2) {
        logits.copyWithin(t * vocab, (t - 1) * vocab, t * vocab);
        targetTokens[t] = targetTokens[t - 1] as number;
      }
      // Expressions of a row without finite entries are undefined. Such rows are kept for tokens of weight 0 only.
      const row = logits.subarray(t * vocab, (t + 1) * vocab);
      if (rows && weights[t] !== 0 && !row.some((z) => z > Number.NEGATIVE_INFINITY)) row.fill(0.5);
      if (rows && weights[t] !== 0)
        row.forEach((z, i) => {
          if (!(z < Number.POSITIVE_INFINITY)) row[i] = 0.5;
        });
      // A token of weight 0 may hold anything.
      if (withInfinities && weights[t] === 0 && random() < 0.5)
        logits.fill(pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]), t * vocab, (t + 1) * vocab);
    }
  }
  const policyLogprobs = from === "logits" ? null : Float64Array.from({ length: tokens }, () => -Math.abs(number()));
  const inputs: Record<string, Float64Array> = { a: numbers(tokens), b: numbers(tokens), s: numbers(sequences), e: numbers(1) };
  // On-policy tokens: a ratio of exactly 1.
  policyLogprobs?.forEach((x, t) => {
    if (!smooth && random() < 0.4) (inputs.a as Float64Array)[t] = x;
  });
  if (grouped) inputs.g = numbers(groups.length);
  if (rows) inputs.v = numbers(tokens * vocab);
  const giveWeights = masked || weightKind > 0 || random() < 0.5;
  if (giveWeights) inputs.weights = weights;
  if (random() < 0.5) inputs.d = numbers(tokens);
  // Expressions of the row of a skipped token are not compared.
  const skipMasked = !smooth && !rows && random() < 0.2;
  const float = (x: Float64Array) => Float32Array.from(x);
  return {
    input: {
      lengths,
      groups: grouped ? groups : null,
      vocab: from === "logits" ? vocab : 0,
      logits,
      targetTokens: from === "logits" ? targetTokens : null,
      policyLogprobs,
      inputs,
      config: { k: 0.5 },
      skipMasked,
    },
    given: {
      lengths,
      ...(grouped && { groups }),
      ...(logits
        ? { logits: float(logits), target_tokens: targetTokens, vocab }
        : { policy_logprobs: float(policyLogprobs as Float64Array) }),
      ...Object.fromEntries(Object.entries(inputs).map(([key, x]) => [key, key === "e" ? (x[0] as number) : float(x)])),
    },
    skipMasked,
  };
}
