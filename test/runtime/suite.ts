/** Tests of losses that every device must pass. The files that import them choose the devices. */
import { describe, expect, test } from "vitest";
import {
  add,
  atTarget,
  defineLoss,
  type Expr,
  type LossDefinition,
  logSoftmax,
  mean,
  mul,
  neg,
  square,
  sub,
  sum,
  tanh,
  variance,
} from "../../dsl/index.js";
import { cross_entropy, label_smoothing, ppo, ppo_entropy } from "../../losses/index.js";
import type { Device, DeviceOptions, LossResult } from "../../runtime/devices/device.js";
import { fromBf16, fromF16, toBf16, toF16, widen } from "../../runtime/devices/dtypes.js";
import { numbers, oracle, reference } from "./oracle.js";
import { memorySuite } from "./suite-memory.js";
import { overlapSuite } from "./suite-overlap.js";
import { crossEntropyInputs, expectClose, expectError, LENGTHS, LOGITS, ppoInputs, VOCAB } from "./support.js";

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

export function deviceSuite(open: (options?: DeviceOptions) => Promise<Device>, name: string): void {
  resultsSuite(open, name !== "reference");
  memorySuite(open, name !== "reference");
  overlapSuite(open);
}

/** `computes`: kernels do, in float32. */
function resultsSuite(open: (options?: DeviceOptions) => Promise<Device>, computes: boolean): void {
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

    test.each<[string, (logits: Expr, scale: Expr) => Expr]>([
      ["put into what is finite at -inf", (z) => mul(3, tanh(z))],
      ["turned round", (z) => mul(-1, z)],
      ["scaled by what may be 0", (z, scale) => mul(scale, z)],
    ])("an entry that is not there has no probability, also where its logit is %s", async (_, of) => {
      const device = await open();
      const capped = defineLoss({
        name: "capped",
        inputs: { scale: "token" },
        loss: (policy, { scale }) => neg(atTarget(logSoftmax(of(policy.logits, scale)))),
      });
      // Every third entry is there.
      const vocab = 3 * VOCAB + 1;
      const { lengths, target_tokens, logits } = crossEntropyInputs();
      const apart = new Float32Array(3 * vocab).fill(Number.NEGATIVE_INFINITY);
      logits.forEach((z, i) => {
        apart[Math.floor(i / VOCAB) * vocab + 3 * (i % VOCAB)] = z;
      });
      const scale = [0.5, 0, 2];
      const given = { lengths, logits: apart, target_tokens: target_tokens.map((target) => 3 * target), scale };
      const result = await (await device.compile(capped)).forwardBackward(given);
      const expected = await oracle(capped, { lengths, target_tokens, logits, scale });
      expect(result.loss).toBeCloseTo(expected.loss, 5);
      const found = numbers(result.gradLogits);
      expectClose(
        Array.from(logits, (_, i) => found[Math.floor(i / VOCAB) * vocab + 3 * (i % VOCAB)] as number),
        numbers(expected.gradLogits),
      );
      expect(Array.from(found).filter((x) => x !== 0).length).toBeLessThanOrEqual(logits.length);
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
      const found: Readonly<Record<string, number>> = result.metrics;
      for (const [key, value] of Object.entries(expected.metrics)) expect(found[key]).toBeCloseTo(value, 5);
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

    test.each([label_smoothing, ppo_entropy])("a row of weight 0 may hold anything: $name", async (loss) => {
      const compiled = await (await open()).compile(loss);
      const { lengths, logits, target_tokens, logprobs, advantages } = ppoInputs();
      const given = { lengths, logits, target_tokens, ...(loss === ppo_entropy && { logprobs, advantages }), weights: [1, 0, 1] };
      for (const entry of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        given.logits = Float32Array.from(logits);
        given.logits.fill(entry, VOCAB, 2 * VOCAB);
        const result = await compiled.forwardBackward(given);
        expect(Array.from(numbers(result.gradLogits).slice(VOCAB, 2 * VOCAB), Math.abs)).toEqual(new Array(VOCAB).fill(0));
        expect(Number.isFinite(result.loss)).toBe(true);
      }
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

    test("any name of a user is data", async () => {
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
      const compiled = await (await open()).compile<LossDefinition>(evil);
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
}
