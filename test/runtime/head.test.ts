/** Losses from hidden states and a head, against the same losses from all logits. */
import { describe, expect, it, vi } from "vitest";
import { atTarget, defineLoss, gt, type LossDefinition, logSoftmax, mul, neg, tanh, where } from "../../dsl/index.js";
import { cross_entropy, dpo, forward_kl, gspo, kto, ppo } from "../../losses/index.js";
import type { Command } from "../../runtime/addon/native.js";
import type { Device, ForwardBackwardOptions, LossInputs, LossResult } from "../../runtime/devices/device.js";
import { convert, type TypedArray, widen } from "../../runtime/devices/dtypes.js";
import { goldenLosses } from "../codegen/golden-losses.js";
import { withoutOptimisation } from "../optimisation.js";
import { sampled } from "../sample.js";
import { type Expected, expectedOf, type HeadBatch, headBatch, LENGTHS, TOKENS, WIDTH } from "./head-batch.js";
import { eachDevice, expectError } from "./support.js";

withoutOptimisation();

const VOCAB = 37;
/** Bytes of so many rows of float32 logits, and of their hidden states. */
const rows = (count: number, vocab = VOCAB) => ({ maxBytes: count * (vocab + WIDTH) * 4 });

/** Bounded logits, as some models have them: an expression like any other. */
const capped = defineLoss({
  name: "soft-capped cross entropy",
  loss: (policy) => neg(atTarget(logSoftmax(mul(3, tanh(mul(policy.logits, 1 / 3)))))),
});

const inputsOf = ({ hidden, head, target_tokens, others }: HeadBatch) =>
  ({ ...others, hidden: hidden.slice(), head: head.slice(), target_tokens }) as unknown as LossInputs;

async function run(
  device: Device,
  loss: LossDefinition,
  batch: HeadBatch,
  options: ForwardBackwardOptions = {},
  more: object = {},
): Promise<LossResult> {
  const compiled = await device.compile(loss);
  return compiled.forwardBackward({ ...inputsOf(batch), ...more } as LossInputs, {}, { nonFinite: "propagate", ...options });
}

/** To rounding: products of the same numbers in another order. `relative` is what a dtype rounds. */
function near(found: ArrayLike<number>, wanted: ArrayLike<number>, what: string, relative = 1e-5, least = 1e-6): void {
  expect(found.length, what).toBe(wanted.length);
  const scale = Math.max(least, ...Array.from(wanted, (x) => (Number.isFinite(x) ? Math.abs(x) : 0)));
  for (let i = 0; i < wanted.length; i++) {
    const [x, y] = [found[i] as number, wanted[i] as number];
    if (!Object.is(x, y) && x !== y && !(Math.abs(x - y) <= relative * scale)) expect.fail(`${what}, ${i}: ${x} instead of ${y}`);
  }
}

function same(found: LossResult, wanted: Expected, what: string, relative?: number): void {
  // Of one entry a divergence is 0, to which logarithms cancel but for rounding.
  near([found.loss], [wanted.loss], `${what}: loss`, relative, 1e-2);
  near(found.logprobs as Float32Array, wanted.logprobs, `${what}: logprobs`, relative);
  near(found.gradHidden as Float32Array, wanted.gradHidden, `${what}: gradient of hidden`, relative);
  near(found.gradHead as Float32Array, wanted.gradHead, `${what}: gradient of head`, relative);
  expect(found.gradLogits).toBeUndefined();
}

/** The matrix products of what a call runs, as multiplications. */
async function multiplications(device: Device, call: () => Promise<unknown>): Promise<number> {
  const spy = vi.spyOn(device.native as NonNullable<Device["native"]>, "run");
  await call();
  const commands = spy.mock.calls.flatMap(([program]) => program as Command[]);
  spy.mockRestore();
  return commands.reduce((sum, command) => sum + (command.kind === "matmul" ? command.m * command.n * command.k : 0), 0);
}

eachDevice((open, name) => {
  describe("every loss, chunk by chunk", () => {
    const losses = Object.entries({ ...goldenLosses, capped });
    it.each(sampled(`chunks on ${name}`, 10, losses))("%s", async (_, loss) => {
      const device = await open();
      const batch = headBatch(loss, VOCAB);
      const expected = await expectedOf(loss, batch);
      for (const count of [1, 4, 7, TOKENS]) same(await run(device, loss, batch, rows(count)), expected, `${count} rows at once`);
    });
  });

  it.each([
    [1, 1],
    [16, 3],
    [1025, 4],
    [4099, 5],
  ])("V %i, %i rows at once", async (vocab, count) => {
    const device = await open();
    for (const loss of [ppo, gspo, forward_kl]) {
      const batch = headBatch(loss, vocab);
      same(await run(device, loss, batch, rows(count, vocab)), await expectedOf(loss, batch), loss.name, 3e-5);
    }
  });

  it.each(["bf16", "f16"] as const)("%s hidden states and head, their gradients of the same dtype or float32", async (dtype) => {
    const device = await open();
    const relative = name === "reference" ? 1e-6 : dtype === "bf16" ? 2 ** -6 : 2 ** -9;
    for (const loss of [cross_entropy, gspo, kto]) {
      const batch = headBatch(loss, VOCAB, { halves: true });
      const expected = await expectedOf(loss, batch);
      const bits = (array: Float32Array) => ({ data: convert(array, "f32", dtype) as Uint16Array, dtype });
      const given = { hidden: bits(batch.hidden), head: bits(batch.head) };
      const result = await run(device, loss, batch, { maxBytes: 4 * VOCAB * 2 }, given);
      const wide = (array: unknown) => (array instanceof Float64Array ? array : widen(array as TypedArray, dtype));
      same({ ...result, gradHidden: wide(result.gradHidden), gradHead: wide(result.gradHead) }, expected, loss.name, relative);
      if (name === "cuda:0") continue;
      const sum = new Float32Array(batch.head.length).fill(1);
      await run(device, loss, batch, { gradHead: sum }, given);
      near(
        sum,
        expected.gradHead.map((x) => x + 1),
        `${loss.name}: sum`,
        relative,
      );
    }
  });

  describe("tokens of weight 0", () => {
    const weights = Float32Array.from({ length: TOKENS }, (_, t) => [0, 1, 0.5, 0, -1][t % 5] as number);
    const masked = (batch: HeadBatch): HeadBatch => ({
      ...batch,
      hidden: batch.hidden.map((x, i) =>
        weights[Math.floor(i / WIDTH)] === 0 ? ([Number.NaN, Number.POSITIVE_INFINITY][i % 2] as number) : x,
      ),
      others: { ...batch.others, weights } as HeadBatch["others"],
    });

    it.each([cross_entropy, ppo, gspo, dpo, kto].map((loss) => [loss.name, loss] as const))("%s", async (_, loss) => {
      const device = await open();
      const clean = headBatch(loss, VOCAB);
      const expected = await expectedOf(loss, { ...clean, others: { ...clean.others, weights } as HeadBatch["others"] });
      const nothing = (x: number, t: number) => (weights[t] === 0 ? 0 : x);
      const skipped = { ...expected, logprobs: expected.logprobs.map(nothing) };
      const unknown = { ...expected, logprobs: expected.logprobs.map((x, t) => (weights[t] === 0 ? Number.NaN : x)) };
      for (const count of [1, 5, TOKENS]) {
        const options = { ...rows(count), nonFinite: "error" } as const;
        same(await run(device, loss, masked(clean), options), unknown, `${count} rows`);
        same(await run(device, loss, masked(clean), { ...options, skipMasked: true }), skipped, `${count} rows, skipped`);
      }
    });

    it("take no part in any product with skipMasked, also where the weights lie on the device", async () => {
      const device = await open();
      if (!device.native) return;
      const live = weights.filter((w) => w !== 0).length;
      const batch = masked(headBatch(cross_entropy, VOCAB));
      using buffer = await device.buffer(weights);
      for (const given of [{}, { weights: buffer }]) {
        const products = await multiplications(device, () =>
          run(device, cross_entropy, batch, { skipMasked: true, ...rows(3) }, given),
        );
        expect(products).toBe(3 * live * VOCAB * WIDTH);
      }
    });

    it("all of them: nothing is left but zeros", async () => {
      const device = await open();
      const batch = headBatch(gspo, VOCAB);
      const result = await run(device, gspo, batch, { skipMasked: true, ...rows(2) }, { weights: new Float32Array(TOKENS) });
      expect(result.loss).toBe(0);
      for (const values of [result.logprobs, result.gradHidden, result.gradHead] as Float32Array[])
        expect(Array.from(values).every((x) => x === 0)).toBe(true);
    });
  });

  it("zero absorbs: what is not finite behind a branch that is not taken reaches no gradient", async () => {
    const device = await open();
    const chosen = defineLoss({
      name: "cross entropy of some tokens",
      inputs: { keep: "token" },
      loss: (policy, inputs) => where(gt(inputs.keep, 0), neg(policy.logprobs), 0),
    });
    const batch = headBatch(chosen, VOCAB);
    const keep = Float32Array.from({ length: TOKENS }, (_, t) => (t % 3 === 1 ? 0 : 1));
    const others = { ...batch.others, keep } as HeadBatch["others"];
    const hidden = batch.hidden.map((x, i) =>
      keep[Math.floor(i / WIDTH)] === 0 ? (i % 2 ? Number.NaN : Number.NEGATIVE_INFINITY) : x,
    );
    const { logprobs: _, ...expected } = await expectedOf(chosen, { ...batch, others });
    for (const count of [1, 5, TOKENS]) {
      const found = await run(device, chosen, { ...batch, hidden, others }, { ...rows(count), nonFinite: "error" });
      near([found.loss], [expected.loss], `${count} rows: loss`);
      near(found.gradHidden as Float32Array, expected.gradHidden, `${count} rows: gradient of hidden`);
      near(found.gradHead as Float32Array, expected.gradHead, `${count} rows: gradient of head`);
    }
  });

  it("takes three products, and logits once more only where tokens wait for others outside of the chunk", async () => {
    const device = await open();
    if (!device.native) return;
    const one = TOKENS * VOCAB * WIDTH;
    const longest = Math.max(...LENGTHS);
    const products = (loss: LossDefinition, count: number) =>
      multiplications(device, () => run(device, loss, headBatch(loss, VOCAB), rows(count)));
    expect(await products(ppo, 1)).toBe(3 * one);
    expect(await products(gspo, longest)).toBe(3 * one);
    expect(await products(kto, TOKENS)).toBe(3 * one);
    // The chunk that the first sweep ends with is there when the second begins.
    expect(await products(gspo, longest - 1)).toBe(4 * one - (TOKENS % (longest - 1)) * VOCAB * WIDTH);
    expect(await products(kto, 5)).toBe(4 * one - (TOKENS % 5) * VOCAB * WIDTH);
  });

  describe("where gradients go", () => {
    it("over the hidden states, in place", async () => {
      const device = await open();
      for (const loss of [ppo, kto]) {
        const batch = headBatch(loss, VOCAB);
        const hidden = batch.hidden.slice();
        const result = await run(device, loss, batch, { inPlace: true, ...rows(3) }, { hidden });
        expect(result.gradHidden).toBe(hidden);
        same(result, await expectedOf(loss, batch), loss.name);
      }
    });

    it("beside buffers of the device, and over them in place", async () => {
      const device = await open();
      const batch = headBatch(ppo, VOCAB);
      const expected = await expectedOf(ppo, batch);
      using hidden = await device.buffer(batch.hidden);
      using head = await device.buffer(batch.head);
      for (const inPlace of [false, true]) {
        const result = await run(device, ppo, batch, { inPlace, ...rows(3) }, { hidden, head });
        expect(result.gradHidden === hidden).toBe(inPlace);
        const read = async (buffer: unknown) => (await (buffer as typeof hidden).read()) as Float32Array;
        same({ ...result, gradHidden: await read(result.gradHidden), gradHead: await read(result.gradHead) }, expected, "ppo");
      }
    });

    it.each(["error", "propagate"] as const)("to a sum that the caller keeps, nonFinite: %s", async (nonFinite) => {
      const device = await open();
      const batch = headBatch(ppo, VOCAB);
      const { gradHead } = await expectedOf(ppo, batch);
      using sum = await device.buffer(new Float32Array(batch.head.length).fill(2));
      for (const times of [1, 2]) {
        const result = await run(device, ppo, batch, { gradHead: sum, nonFinite, ...rows(3) });
        expect(result.gradHead).toBe(sum);
        near(
          (await sum.read()) as Float32Array,
          gradHead.map((x) => 2 + times * x),
          `${times} times`,
        );
      }
    });

    it("leaves the sum as it was where the loss or a gradient is not finite, and zeros what was written in place", async () => {
      const device = await open();
      const batch = headBatch(ppo, VOCAB);
      using sum = await device.buffer(new Float32Array(batch.head.length).fill(2));
      const hidden = batch.hidden.slice();
      hidden[WIDTH * 4] = Number.NaN;
      await expectError(
        "NON_FINITE",
        () => run(device, ppo, batch, { gradHead: sum, nonFinite: "error", inPlace: true, ...rows(3) }, { hidden }),
        "datum 2, token 1",
      );
      expect(((await sum.read()) as Float32Array).every((x) => x === 2)).toBe(true);
      expect(hidden.every((x) => x === 0)).toBe(true);
    });

    it("finds products that are too large, though no gradient of a logit is", async () => {
      const device = await open();
      if (!device.native) return; // float64 holds them
      const batch = headBatch(cross_entropy, VOCAB);
      const [huge, tiny] = [3e38, 1e-30];
      const hidden = batch.hidden.map((_, i) => (i % WIDTH === 0 ? huge : 0));
      const head = batch.head.map((_, i) => (i % WIDTH === 0 ? tiny * 0 : 0));
      await expectError("NON_FINITE", () =>
        run(device, cross_entropy, batch, { nonFinite: "error" }, { hidden, head, weights: new Float32Array(TOKENS).fill(100) }),
      );
    });
  });

  it("has the same bits in every run and for every number of chunks", async () => {
    const device = await open();
    const batch = headBatch(gspo, VOCAB);
    const [a, b] = [await run(device, gspo, batch, rows(4)), await run(device, gspo, batch, rows(4))];
    expect(a).toEqual(b);
  });

  it("a batch without tokens", async () => {
    const device = await open();
    const empty = { lengths: [0, 0], hidden: new Float32Array(0), head: new Float32Array(6), target_tokens: [] };
    const result = await (await device.compile(cross_entropy)).forwardBackward({ ...empty, hidden_size: 2 });
    expect(result).toMatchObject({ loss: 0, metrics: { "loss:sum": 0 } });
    expect([result.logprobs?.length, (result.gradHidden as Float32Array).length]).toEqual([0, 0]);
    expect(Array.from(result.gradHead as Float32Array)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  describe("mistakes", () => {
    const good = { lengths: [2], hidden: [1, 2, 3, 4], head: [1, 0, 0, 1, 1, 1], target_tokens: [0, 2] };
    const half = (length: number) => ({ data: new Uint16Array(length), dtype: "bf16" });
    it.each([
      ["INPUT_MISSING", "hidden is given without head", { head: undefined }, {}],
      ["INPUT_MISSING", "head is given without hidden", { hidden: undefined }, {}],
      ["INPUT_UNKNOWN", "both logits and hidden are given", { logits: [1, 2, 3, 4, 5, 6] }, {}],
      [
        "INPUT_UNKNOWN",
        "hidden_size is given without hidden",
        { hidden: undefined, head: undefined, logits: [1, 2], hidden_size: 2 },
        {},
      ],
      ["INPUT_LENGTH", "hidden has 3 numbers", { hidden: [1, 2, 3] }, {}],
      ["INPUT_LENGTH", "that is 6", { hidden_size: 3 }, {}],
      ["INPUT_LENGTH", "hidden_size is 1.5", { hidden_size: 1.5 }, {}],
      ["INPUT_LENGTH", "head has 5 numbers", { head: [1, 2, 3, 4, 5] }, {}],
      ["INPUT_LENGTH", "vocab is 4, but head has 3 entries", { vocab: 4 }, {}],
      ["INPUT_DTYPE", "hidden is bf16 and head is f32", { hidden: half(4), head: new Float32Array(6) }, {}],
      ["TARGET_OUT_OF_RANGE", "the vocabulary of 3", { target_tokens: [0, 3] }, {}],
      ["INPUT_DTYPE", "gradHead is an array", {}, { gradHead: [1, 2, 3, 4, 5, 6] }],
      ["INPUT_LENGTH", "gradHead has 5 numbers, but head has 6", {}, { gradHead: 5 }],
      ["USAGE", "maxBytes is 0", {}, { maxBytes: 0 }],
      [
        "USAGE",
        "goes with the inputs hidden and head",
        { hidden: undefined, head: undefined, logits: [1, 2, 3, 4, 5, 6] },
        { gradHead: 4 },
      ],
    ] as const)("%s: %s", async (code, said, inputs, options) => {
      const device = await open();
      const compiled = await device.compile<LossDefinition>(cross_entropy);
      const length = "gradHead" in options && typeof options.gradHead === "number" ? options.gradHead : null;
      using sum = await device.buffer({ dtype: "f32", length: length ?? 1 });
      const given = { ...options, ...(length !== null && { gradHead: sum }) } as ForwardBackwardOptions;
      await expectError(code, () => compiled.forwardBackward({ ...good, ...inputs } as unknown as LossInputs, {}, given), said);
    });
  });
});
