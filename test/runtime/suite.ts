/** What every device must do with a loss. The files that import it say which devices. */
import { describe, expect, test } from "vitest";
import { add, defineLoss, type LossDefinition, mean, mul, neg, square, sub, sum, variance } from "../../dsl/index.js";
import { cross_entropy, ppo } from "../../losses/index.js";
import type { Device, DeviceOptions, LossInputs, LossResult } from "../../runtime/devices/device.js";
import { fromBf16, fromF16, toBf16, toF16, widen } from "../../runtime/dtypes.js";
import { openDevice } from "../../runtime/index.js";
import { crossEntropyInputs, expectClose, expectError, LENGTHS, LOGITS, ppoInputs, TARGETS, VOCAB } from "./support.js";

const reference = await openDevice("reference");

/** Loss and gradient as `reference` has them. */
export async function oracle(loss: LossDefinition, inputs: LossInputs, options: object = {}): Promise<LossResult> {
  return (await reference.compile(loss)).forwardBackward(inputs, {}, options);
}

const spread = defineLoss({ name: "variance of logprobs", loss: (policy) => variance(policy.logprobs) });
const rich = defineLoss({
  name: "metrics and outputs",
  inputs: { reward: "sequence", scale: "batch" },
  config: { coefficient: 0.5 },
  loss(policy, inputs, config) {
    const perSequence = mean(policy.logprobs, "tokens");
    return {
      loss: mul(mul(sub(perSequence, inputs.reward), config.coefficient), inputs.scale),
      metrics: { "mean logprob": mean(policy.logprobs), 'a key; with "odd" letters': sum(inputs.reward) },
      outputs: { squared: square(policy.logprobs), perSequence },
    };
  },
});
const richInputs = () => ({ ...crossEntropyInputs(), reward: [0.5, -1], scale: 2 });

function numbers(array: unknown): number[] {
  return Array.from(array as ArrayLike<number>);
}

export function deviceSuite(open: (options?: DeviceOptions) => Promise<Device>, name: string): void {
  const computes = name !== "reference";
  const half = (result: LossResult, dtype: "bf16" | "f16") =>
    computes ? widen(result.gradLogits as Uint16Array, dtype) : (result.gradLogits as Float64Array);

  describe("results", () => {
    test("a token-local loss is one launch, and agrees with reference", async () => {
      const device = await open();
      const compiled = await device.compile(ppo, { vocab: VOCAB });
      const before = device.launches;
      const result = await compiled.forwardBackward(ppoInputs());
      const expected = await oracle(ppo, ppoInputs());
      expect(result.loss).toBeCloseTo(expected.loss, 5);
      expectClose(numbers(result.logprobs), numbers(expected.logprobs));
      expectClose(numbers(result.gradLogits), numbers(expected.gradLogits));
      expect(result.metrics).toEqual({ "loss:sum": result.loss });
      expect(result.sweeps).toBe(1);
      expect([device.launches - before, result.launches]).toEqual(computes ? [1, 1] : [0, 0]);
      expect(result.gradLogits).toBeInstanceOf(computes ? Float32Array : Float64Array);
      expect(result.logprobs).toBeInstanceOf(computes ? Float32Array : Float64Array);
    });

    test("a coupled loss is two sweeps", async () => {
      const device = await open();
      const compiled = await device.compile(spread);
      const result = await compiled.forwardBackward(crossEntropyInputs());
      const expected = await oracle(spread, crossEntropyInputs());
      expect(result.sweeps).toBe(2);
      if (computes) expect(result.launches).toBe(compiled.plan().kernels.length);
      expect(result.loss).toBeCloseTo(expected.loss, 5);
      expectClose(numbers(result.gradLogits), numbers(expected.gradLogits));
    });

    test("inputs of every space, metrics and outputs", async () => {
      const compiled = await (await open()).compile(rich);
      const result = await compiled.forwardBackward(richInputs(), { coefficient: 0.25 });
      const expected = await (await reference.compile(rich)).forwardBackward(richInputs(), { coefficient: 0.25 });
      expect(result.loss).toBeCloseTo(expected.loss, 5);
      expect(Object.keys(result.metrics).sort()).toEqual(['a key; with "odd" letters', "loss:sum", "mean logprob"]);
      for (const [key, value] of Object.entries(expected.metrics)) expect(result.metrics[key]).toBeCloseTo(value, 5);
      expectClose(numbers(result.outputs.squared), numbers(expected.outputs.squared), 1e-5);
      expectClose(numbers(result.outputs.perSequence), numbers(expected.outputs.perSequence));
      expectClose(numbers(result.gradLogits), numbers(expected.gradLogits));
    });

    test("weights default to 1, multiply, and mask", async () => {
      const compiled = await (await open()).compile(cross_entropy);
      const plain = await compiled.forwardBackward(crossEntropyInputs());
      expect((await compiled.forwardBackward({ ...crossEntropyInputs(), weights: [1, 1, 1] })).loss).toBe(plain.loss);
      const masked = { ...crossEntropyInputs(), weights: [2, 0, -0.5] };
      masked.logits.set([Number.NaN, Number.NEGATIVE_INFINITY], 4);
      const result = await compiled.forwardBackward(masked);
      const [first, , third] = numbers(plain.logprobs) as [number, number, number];
      expect(result.loss).toBeCloseTo(-2 * first + 0.5 * third, 5);
      expect(
        numbers(result.gradLogits)
          .slice(4, 8)
          .every((g) => g === 0),
      ).toBe(true);
      expect(numbers(result.logprobs)[1]).toBeNaN();
      const skipped = await compiled.forwardBackward(masked, {}, { skipMasked: true });
      expect(numbers(skipped.logprobs)[1]).toBe(0);
      expect(skipped.loss).toBe(result.loss);
    });

    test("policy_logprobs in place of logits gives gradLogprobs, without a sweep", async () => {
      const compiled = await (await open()).compile(ppo);
      const inputs = {
        lengths: LENGTHS,
        policy_logprobs: [-0.6, -0.3, -1],
        logprobs: [-0.5, -0.25, -1.5],
        advantages: [1, -0.5, 2],
      };
      const result = await compiled.forwardBackward(inputs);
      const expected = await oracle(ppo, inputs);
      expect(result.sweeps).toBe(0);
      expect(result.logprobs).toBe(null);
      expect(result.gradLogits).toBe(undefined);
      expect(result.loss).toBeCloseTo(expected.loss, 5);
      expectClose(numbers(result.gradLogprobs), numbers(expected.gradLogprobs));
      expect(compiled.plan(null).sweeps).toBe(0);
    });

    test.each([
      { dtype: "bf16", to: toBf16, from: fromBf16 },
      { dtype: "f16", to: toF16, from: fromF16 },
    ] as const)("logits of $dtype have a gradient of $dtype", async ({ dtype, to, from }) => {
      const compiled = await (await open()).compile(cross_entropy, { dtype });
      const data = Uint16Array.from(LOGITS, to);
      const result = await compiled.forwardBackward({ ...crossEntropyInputs(), logits: { data, dtype } });
      const expected = await oracle(cross_entropy, { ...crossEntropyInputs(), logits: Float64Array.from(data, from) });
      expect(result.loss).toBeCloseTo(expected.loss, 5);
      if (computes) expect(result.gradLogits).toBeInstanceOf(Uint16Array);
      expectClose(half(result, dtype), numbers(expected.gradLogits), dtype === "bf16" ? 4e-3 : 5e-4);
      // Plain numbers become what the loss was compiled for.
      expect((await compiled.forwardBackward({ ...crossEntropyInputs(), logits: LOGITS })).gradLogits).toBeInstanceOf(
        computes ? Uint16Array : Float64Array,
      );
      expect(data).toEqual(Uint16Array.from(LOGITS, to));
    });

    test("an empty batch has loss 0", async () => {
      const compiled = await (await open()).compile(rich);
      for (const lengths of [[], [0, 0]]) {
        const result = await compiled.forwardBackward({
          lengths,
          logits: [],
          target_tokens: [],
          reward: lengths.map(() => 3),
          scale: 1,
        });
        expect(result.loss).toBe(0);
        expect(numbers(result.gradLogits)).toEqual([]);
        expect(numbers(result.logprobs)).toEqual([]);
        expect(numbers(result.outputs.perSequence)).toEqual(lengths);
        expect(result.launches).toBe(0);
      }
      expect((await compiled.forwardBackward(richInputs())).loss).not.toBe(0);
    });

    test("calls with more and fewer tokens, and other vocabularies, share the device's memory", async () => {
      const compiled = await (await open()).compile(spread);
      for (const [tokens, vocab] of [
        [3, 5],
        [40, 7],
        [1100, 3],
        [2, 33],
        [3, 5],
      ] as const) {
        const inputs = {
          lengths: [tokens - 1, 0, 1],
          logits: Float32Array.from({ length: tokens * vocab }, (_, i) => Math.sin(i * 1.7) * 3),
          target_tokens: Int32Array.from({ length: tokens }, (_, i) => i % vocab),
        };
        const [result, expected] = [await compiled.forwardBackward(inputs), await oracle(spread, inputs)];
        expect(result.loss).toBeCloseTo(expected.loss, 4);
        expectClose(numbers(result.gradLogits), numbers(expected.gradLogits), 1e-5);
      }
    });

    test("names of the user's are data, whatever they are", async () => {
      const evil = defineLoss({
        name: 'x"; } */ #include "y"',
        inputs: { constructor: "token", "a b; c": { space: "token", default: 2 }, __proto__x: "token" },
        config: { "toString()": 3 },
        loss: (policy, inputs, config) => ({
          loss: mul(
            mul(policy.logprobs, inputs.constructor),
            mul(inputs["a b; c"], mul(config["toString()"], inputs.__proto__x)),
          ),
          metrics: { "*/ }": sum(inputs.constructor) },
        }),
      });
      const compiled = await (await open()).compile(evil);
      const plain = await oracle(cross_entropy, crossEntropyInputs());
      const result = await compiled.forwardBackward({ ...crossEntropyInputs(), constructor: [1, 1, 1], __proto__x: [1, 1, 1] });
      expect(result.loss).toBeCloseTo(-6 * plain.loss, 4);
      expect(result.metrics["*/ }"]).toBe(3);
      await expectError(
        "INPUT_MISSING",
        () => compiled.forwardBackward({ ...crossEntropyInputs(), __proto__x: [1, 1, 1] }),
        "constructor",
      );
    });

    test("constants specialise a loss, also in the call", async () => {
      const loss = defineLoss({
        name: "static",
        config: { twice: false },
        loss: (policy, _, config) => neg(config.twice ? add(policy.logprobs, policy.logprobs) : policy.logprobs),
      });
      const device = await open();
      const once = (await (await device.compile(loss)).forwardBackward(crossEntropyInputs())).loss;
      const compiled = await device.compile(loss, { config: { twice: true } });
      expect((await compiled.forwardBackward(crossEntropyInputs())).loss).toBeCloseTo(2 * once, 5);
      expect((await compiled.forwardBackward(crossEntropyInputs(), { twice: false })).loss).toBe(once);
    });
  });

  describe("memory", () => {
    test("inPlace overwrites the caller's array", async () => {
      const compiled = await (await open()).compile(ppo);
      const apart = await compiled.forwardBackward(ppoInputs());
      const inputs = ppoInputs();
      const result = await compiled.forwardBackward(inputs, {}, { inPlace: true });
      expect(result.gradLogits).toBe(inputs.logits);
      expect(numbers(inputs.logits)).toEqual(numbers(Float32Array.from(numbers(apart.gradLogits))));
      expect(result.loss).toBe(apart.loss);
      const halves = { data: Uint16Array.from(LOGITS, toBf16), dtype: "bf16" } as const;
      const inHalves = await compiled.forwardBackward({ ...ppoInputs(), logits: halves }, {}, { inPlace: true });
      expect(inHalves.gradLogits).toBe(halves.data);
      expect(fromBf16(halves.data[0] as number)).not.toBe(LOGITS[0]);
    });

    test("without inPlace nothing of the caller's is written", async () => {
      const compiled = await (await open()).compile(ppo);
      const inputs = ppoInputs();
      await compiled.forwardBackward(inputs);
      expect(inputs).toEqual(ppoInputs());
    });

    test("inPlace over policy_logprobs", async () => {
      const device = await open();
      const compiled = await device.compile(spread);
      const policy_logprobs = Float32Array.of(-0.5, -1, -2);
      const apart = await compiled.forwardBackward({ lengths: LENGTHS, policy_logprobs });
      const buffer = await device.buffer(policy_logprobs);
      const onDevice = await compiled.forwardBackward({ lengths: LENGTHS, policy_logprobs: buffer }, {}, { inPlace: true });
      expect(onDevice.gradLogprobs).toBe(buffer);
      expectClose(await buffer.read(), numbers(apart.gradLogprobs), 1e-7);
      const result = await compiled.forwardBackward({ lengths: LENGTHS, policy_logprobs }, {}, { inPlace: true });
      expect(result.gradLogprobs).toBe(policy_logprobs);
      expectClose(policy_logprobs, numbers(apart.gradLogprobs), 1e-7);
    });

    test("views into larger memory, wherever they begin, also shared memory", async () => {
      const compiled = await (await open()).compile(ppo);
      const apart = await compiled.forwardBackward(ppoInputs());
      for (const memory of [new ArrayBuffer(80), new SharedArrayBuffer(80)]) {
        for (const offset of [0, 1, 3]) {
          const whole = new Float32Array(memory).fill(7);
          const logits = whole.subarray(offset, offset + LOGITS.length);
          logits.set(LOGITS);
          const result = await compiled.forwardBackward({ ...ppoInputs(), logits }, {}, { inPlace: true });
          expect(result.loss).toBe(apart.loss);
          expectClose(logits, numbers(apart.gradLogits), computes ? 0 : 1e-7);
          const outside = [...whole.subarray(0, offset), ...whole.subarray(offset + LOGITS.length)];
          expect(outside.every((value) => value === 7)).toBe(true);
        }
      }
    });

    test("buffers go in and come out, and keep their content", async () => {
      const device = await open();
      const compiled = await device.compile(ppo);
      const expected = await compiled.forwardBackward(ppoInputs());
      const logits = await device.buffer(Float32Array.from(LOGITS));
      const target_tokens = await device.buffer(Int32Array.from(TARGETS));
      const advantages = await device.buffer(Float32Array.of(1, -0.5, 2));
      const inputs = { lengths: LENGTHS, logits, target_tokens, advantages, logprobs: [-0.5, -0.25, -1.5] };
      const result = await compiled.forwardBackward(inputs);
      const gradient = result.gradLogits as typeof logits;
      expect([gradient.dtype, gradient.length, gradient.byteLength]).toEqual(["f32", 12, 48]);
      expect(gradient.device).toBe(device);
      expectClose(await gradient.read(), numbers(expected.gradLogits), computes ? 0 : 1e-7);
      expect(numbers(await logits.read())).toEqual(LOGITS.map(Math.fround));
      gradient.dispose();
      const inPlace = await compiled.forwardBackward(inputs, {}, { inPlace: true });
      expect(inPlace.gradLogits).toBe(logits);
      expectClose(await logits.read(), numbers(expected.gradLogits), computes ? 0 : 1e-7);
      logits[Symbol.dispose]();
      await expectError("DISPOSED", () => compiled.forwardBackward(inputs), "logits");
    });

    test("buffers are written and read whole", async () => {
      const device = await open();
      const buffer = await device.buffer({ dtype: "f32", length: 3 });
      expect(await buffer.read()).toEqual(new Float32Array(3));
      await buffer.write([1, 2.5, -3]);
      expect(await buffer.read()).toEqual(Float32Array.of(1, 2.5, -3));
      await buffer.write(Float32Array.of(4, 5, 6));
      expect(await buffer.read()).toEqual(Float32Array.of(4, 5, 6));
      const halves = await device.buffer(Uint16Array.of(0x3f80, 0xc000), "bf16");
      expect(await halves.read()).toEqual(Uint16Array.of(0x3f80, 0xc000));
      await halves.write([2, 1]);
      expect(await halves.read()).toEqual(Uint16Array.of(0x4000, 0x3f80));
      expect(await (await device.buffer({ dtype: "i32", length: 0 })).read()).toEqual(new Int32Array(0));
      await expectError("INPUT_LENGTH", () => buffer.write([1]), "1 elements", "3");
      await expectError("INPUT_DTYPE", () => buffer.write(Int32Array.of(1, 2, 3)), "Int32Array", "Float32Array");
      await expectError("INPUT_DTYPE", () => device.buffer(new Uint16Array(2)), '"bf16"');
      await expectError("INPUT_DTYPE", () => device.buffer(new Float32Array(2), "i32"), "Float32Array", "i32");
      await expectError("INPUT_DTYPE", () => device.buffer({ dtype: "f8" as "f32", length: 1 }), "f8");
      await expectError("INPUT_LENGTH", () => device.buffer({ dtype: "f32", length: -1 }), "-1");
    });
  });

  describe("order", () => {
    test("calls that overlap have the results that they have alone", async () => {
      const compiled = await (await open()).compile(spread);
      const batches = [1, 2, 3, 4].map((k) => ({ ...crossEntropyInputs(), logits: Float32Array.from(LOGITS, (z) => z * k) }));
      const alone: number[] = [];
      for (const batch of batches) alone.push((await compiled.forwardBackward(batch)).loss);
      const together = await Promise.all(batches.map((batch) => compiled.forwardBackward(batch)));
      expect(together.map(({ loss }) => loss)).toEqual(alone);
      for (const [i, { gradLogits }] of together.entries()) {
        const expected = await oracle(spread, batches[i] as LossInputs);
        expectClose(numbers(gradLogits), numbers(expected.gradLogits));
      }
    });

    test("a call sees what the one before it left in place", async () => {
      const device = await open();
      const compiled = await device.compile(cross_entropy);
      const logits = await device.buffer(Float32Array.from(LOGITS));
      const inputs = { ...crossEntropyInputs(), logits };
      const [first, second, read] = await Promise.all([
        compiled.forwardBackward(inputs, {}, { inPlace: true }),
        compiled.forwardBackward(inputs, {}, { inPlace: true }),
        logits.read(),
      ]);
      const once = await oracle(cross_entropy, crossEntropyInputs());
      const twice = await oracle(cross_entropy, { ...crossEntropyInputs(), logits: Float64Array.from(numbers(once.gradLogits)) });
      expect(first.loss).toBeCloseTo(once.loss, 5);
      expect(second.loss).toBeCloseTo(twice.loss, 5);
      expectClose(read, numbers(twice.gradLogits), 1e-5);
    });

    test("a failed call leaves the others alone", async () => {
      const compiled = await (await open()).compile(spread);
      const bad = crossEntropyInputs();
      bad.logits[5] = Number.NaN;
      const [before, failed, after] = await Promise.allSettled([
        compiled.forwardBackward(crossEntropyInputs()),
        compiled.forwardBackward(bad),
        compiled.forwardBackward(crossEntropyInputs()),
      ]);
      expect([before.status, failed.status, after.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect((after as PromiseFulfilledResult<LossResult>).value.loss).toBe(
        (before as PromiseFulfilledResult<LossResult>).value.loss,
      );
    });
  });
}
