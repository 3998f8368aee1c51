/** The second part: the model is rewarded for writing words of the book, with `ppo`. */
import type { Datum, TrainingResult } from "lossc";
import { drawPrompts, mean, type PartOfRun, rewardOf } from "./run.js";
import { drawSamples, type Sample } from "./sample.js";
import type { Settings } from "./settings.js";

/** The bounds of the ratio within which a token may still be learned from. */
const CLIP = { clip_low_threshold: 0.8, clip_high_threshold: 1.25 };

export function reinforcement({ reinforcement: settings }: Settings): PartOfRun {
  const { steps, prompts, group, length, minibatches, epochs, learningRate } = settings;
  return {
    name: "reinforcement",
    title: "ppo on samples",
    steps,
    async step(run, index) {
      const { book, client, model, random, record } = run;
      const space = book.vocabulary.encode(" ")[0] as number;
      const repeated = drawPrompts(book.training, space, prompts, random).flatMap((prompt) =>
        Array<Int32Array>(group).fill(prompt),
      );
      const samples = await drawSamples(model, repeated, length, random);
      const rewards = samples.map((sample) => rewardOf(book, sample));
      const advantages = groupAdvantages(rewards, group);
      const size = Math.ceil(samples.length / minibatches);
      const data = samples.map((sample, i) => datumOf(sample, (advantages[i] as number) / size));

      // Several steps on the same samples: after the first, the policy is no longer the one that drew them, and the ratio in ppo leaves 1.
      let loss = 0;
      let tokens = 0;
      for (let epoch = 0; epoch < epochs; epoch++) {
        const order = random.permutation(data.length);
        for (let first = 0; first < data.length; first += size) {
          const chosen = order.slice(first, first + size);
          const batch = chosen.map((i) => data[i] as Datum);
          const calls = [
            client.forwardBackward(batch, "ppo", CLIP, { skipMasked: true }),
            client.optimStep({ learningRate }),
          ] as const;
          const [result] = await Promise.all(calls);
          loss += result.loss / (minibatches * epochs);
          tokens += chosen.length * length;
          record.curves.ratio.push({
            update: record.curves.ratio.length + 1,
            ...ratios(
              result,
              chosen.map((i) => samples[i] as Sample),
            ),
          });
        }
      }
      const sorted = [...rewards].sort((a, b) => a - b);
      const [low, high] = [0.1, 0.9].map((share) => sorted[Math.floor(share * (sorted.length - 1))] as number) as [
        number,
        number,
      ];
      record.curves.reward.push({ step: index + 1, reward: mean(rewards), low, high });
      return { tokens, loss, reward: mean(rewards) };
    },
  };
}

/** How much better each sample is than the mean of its group, in units of the deviation over the batch. */
export function groupAdvantages(rewards: readonly number[], group: number): number[] {
  const centred = rewards.map((reward, i) => {
    const first = i - (i % group);
    return reward - mean(rewards.slice(first, first + group));
  });
  const deviation = Math.sqrt(mean(centred.map((value) => value * value)));
  return centred.map((value) => (deviation > 0 ? value / deviation : 0));
}

/** Prompt and sample as one sequence. The prompt is there to be read, not to be learned: its weights are 0. */
export function datumOf({ prompt, tokens, logprobs }: Sample, advantage: number): Datum {
  const sequence = Int32Array.of(...prompt, ...tokens);
  const given = prompt.length - 1;
  const padded = (values: ArrayLike<number>) => Float32Array.of(...new Float32Array(given), ...Array.from(values));
  return {
    modelInput: sequence.slice(0, -1),
    lossFnInputs: {
      target_tokens: sequence.slice(1),
      weights: padded(new Float32Array(tokens.length).fill(1)),
      logprobs: padded(logprobs),
      // Divided by the length: the loss is a sum, and a sample should count once, not once for each character.
      advantages: padded(new Float32Array(tokens.length).fill(advantage / tokens.length)),
    },
  };
}

/** Mean distance of the ratio from 1, and the share of it that lies beyond the bounds. */
function ratios({ lossFnOutputs }: TrainingResult, samples: readonly Sample[]): { distance: number; clipped: number } {
  const all = samples.flatMap(({ logprobs }, i) => {
    const now = (lossFnOutputs[i]?.logprobs ?? new Float32Array(0)).slice(-logprobs.length);
    return Array.from(now, (logprob, t) => Math.exp(logprob - (logprobs[t] as number)));
  });
  const outside = all.filter((ratio) => ratio < CLIP.clip_low_threshold || ratio > CLIP.clip_high_threshold);
  return { distance: mean(all.map((ratio) => Math.abs(ratio - 1))), clipped: outside.length / all.length };
}
