/** The same bits every time: on one thread and on all, in a batch of 1 and of 4097 and anywhere in it, in every order of lanes. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineLoss, div, exp, type LossDefinition, mean, mul, neg, sub, sum, variance } from "../../dsl/index.js";
import { builtins } from "../../losses/index.js";
import { compileBatch } from "../../runtime/compiled/compile-batch.js";
import type { CompiledLoss, Device, LossInputs, LossResult } from "../../runtime/devices/device.js";
import { numbersFrom } from "../sample.js";
import { onDevices, opened } from "./devices.js";

const coupled = defineLoss({
  name: "coupled",
  inputs: { logprobs: "token", advantages: "token" },
  loss(policy, inputs) {
    const ratio = exp(mean(sub(policy.logprobs, inputs.logprobs), "tokens"));
    return {
      loss: [neg(mul(ratio, mean(inputs.advantages, "tokens"))), div(variance(policy.logprobs), 7)],
      metrics: { spread: variance(policy.logprobs) },
      outputs: { ratio, scaled: mul(policy.logprobs, sum(policy.logprobs)) },
    };
  },
});
const LOSSES = [builtins.ppo, builtins.dro, coupled] as LossDefinition[];

interface Data {
  readonly lengths: number[];
  readonly logits: Float32Array;
  readonly targets: Int32Array;
  readonly logprobs: Float32Array;
  readonly advantages: Float32Array;
  readonly weights: Float32Array;
}

/** Lengths that cross the chunks of folds over tokens. */
function data(tokens: number, vocab: number): Data {
  const random = numbersFrom(tokens * 31 + vocab);
  const numbers = (n: number) => Float32Array.from({ length: n }, () => random() * 6 - 3);
  const lengths: number[] = [];
  for (let left = tokens; left > 0; left -= lengths.at(-1) as number)
    lengths.push(Math.min(left, Math.floor(random() * 1500) + 1));
  return {
    lengths,
    logits: numbers(tokens * vocab),
    targets: Int32Array.from({ length: tokens }, () => Math.floor(random() * vocab)),
    logprobs: numbers(tokens),
    advantages: numbers(tokens),
    weights: Float32Array.from({ length: tokens }, () => (random() < 0.2 ? 0 : random())),
  };
}

const given = ({ lengths, logits, targets, logprobs, advantages, weights }: Data): LossInputs => ({
  lengths,
  logits,
  target_tokens: targets,
  logprobs,
  advantages,
  weights,
});

/** Every bit of a result. */
function bits({ loss, metrics, logprobs, gradLogits, outputs }: LossResult): unknown {
  const words = (x: ArrayLike<number>) => Buffer.from(Float32Array.from(x).buffer).toString("base64");
  return {
    loss,
    metrics,
    logprobs: words(logprobs as Float32Array),
    gradient: words(gradLogits as Float32Array),
    outputs: Object.fromEntries(Object.entries(outputs).map(([key, x]) => [key, words(x)])),
  };
}

async function all(device: Device, vocab: number, what: Data): Promise<unknown[]> {
  const compiled = await compileBatch(device, LOSSES, { dtype: "f32", vocab });
  return Promise.all(compiled.map(async (loss) => bits(await loss.forwardBackward(given(what)))));
}

describe("threads", () => {
  // Rows of which a thread works on 16 at once, and longer ones.
  it.each([97, 1100])("one and all of them give the same bits, V %i", async (vocab) => {
    const what = data(4097, vocab);
    await using one = await opened("cpu", { threads: 1 });
    await using many = await opened("cpu");
    await using three = await opened("cpu", { threads: 3 });
    const expected = await all(one, vocab, what);
    for (const device of [many, three, many]) expect(await all(device, vocab, what)).toEqual(expected);
  });
});

describe("order of lanes", () => {
  // Teams of a few lanes, and of several warps.
  it.each([
    [64, 1025],
    [5000, 9],
  ])("rows of %i: forward, reverse and shuffled give the same bits", async (vocab, tokens) => {
    const what = data(tokens, vocab);
    const results: unknown[] = [];
    for (const order of ["forward", "reverse", 1, 20] as const) {
      await using device = await opened("emulated", { order });
      results.push(await all(device, vocab, what));
    }
    for (const result of results) expect(result).toEqual(results[0]);
  });
});

describe("place in the batch", () => {
  onDevices((device) => {
    const VOCAB = 33; // odd: rows begin anywhere in a packet
    const big = data(4097, VOCAB);
    let ppo: CompiledLoss;
    let result: LossResult;
    beforeAll(async () => {
      [ppo] = (await compileBatch(device(), LOSSES, { dtype: "f32", vocab: VOCAB })) as [CompiledLoss];
      result = await ppo.forwardBackward(given(big));
    });
    afterAll(() => undefined);

    const part = (from: number, to: number, lengths: number[]): Data => ({
      lengths,
      logits: big.logits.slice(from * VOCAB, to * VOCAB),
      targets: big.targets.slice(from, to),
      logprobs: big.logprobs.slice(from, to),
      advantages: big.advantages.slice(from, to),
      weights: big.weights.slice(from, to),
    });
    const slice = (from: number, to: number) => ({
      logprobs: Array.from((result.logprobs as Float32Array).slice(from, to)),
      gradient: Array.from((result.gradLogits as Float32Array).slice(from * VOCAB, to * VOCAB)),
    });

    it.each([0, 1, 2, 3, 15, 16, 17, 1023, 1024, 2050, 4095, 4096])(
      "token %i alone has the bits that it has among 4097",
      async (t) => {
        const { logprobs, gradLogits } = await ppo.forwardBackward(given(part(t, t + 1, [1])));
        expect({ logprobs: Array.from(logprobs as Float32Array), gradient: Array.from(gradLogits as Float32Array) }).toEqual(
          slice(t, t + 1),
        );
      },
    );

    it("a run of tokens, cut into other sequences, has the same bits", async () => {
      const { logprobs, gradLogits } = await ppo.forwardBackward(given(part(5, 1200, [0, 195, 1000])));
      expect({ logprobs: Array.from(logprobs as Float32Array), gradient: Array.from(gradLogits as Float32Array) }).toEqual(
        slice(5, 1200),
      );
    });

    it("an on-policy ratio is exactly 1", async () => {
      const logprobs = new Float32Array(result.logprobs as Float32Array);
      const ratio = defineLoss({
        name: "ratio",
        inputs: { logprobs: "token" },
        loss: (policy, inputs) => ({ loss: 0, outputs: { ratio: exp(sub(policy.logprobs, inputs.logprobs)) } }),
      });
      const compiled = await device().compile(ratio as unknown as LossDefinition);
      const { outputs } = await compiled.forwardBackward({
        ...given(part(7, 8, [1])),
        logprobs: logprobs.slice(7, 8),
        advantages: undefined,
      });
      expect(outputs.ratio).toEqual(Float32Array.of(1));
    });

    it("a second call gives the same bits", async () => {
      expect(bits(await ppo.forwardBackward(given(big)))).toEqual(bits(result));
    });
  });
});
