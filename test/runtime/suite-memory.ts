/** Whose memory is read and written, and in which order: part of the suite of every device. */
import { describe, expect, test } from "vitest";
import { defineLoss, type LossDefinition, variance } from "../../dsl/index.js";
import { cross_entropy, ppo } from "../../losses/index.js";
import type { Device, DeviceOptions, LossInputs, LossResult } from "../../runtime/devices/device.js";
import { fromBf16, toBf16 } from "../../runtime/devices/dtypes.js";
import { numbers, oracle } from "./oracle.js";
import { crossEntropyInputs, expectClose, expectError, LENGTHS, LOGITS, ppoInputs, TARGETS } from "./support.js";

const spread = defineLoss({ name: "variance of logprobs", loss: (policy) => variance(policy.logprobs) });

/** `computes`: kernels do, in float32. */
export function memorySuite(open: (options?: DeviceOptions) => Promise<Device>, computes: boolean): void {
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

    test("an array that goes elsewhere after the call was made is missed when the call begins", async () => {
      const compiled = await (await open()).compile<LossDefinition>(cross_entropy);
      const given = () => ({
        ...crossEntropyInputs(),
        logits: Float32Array.from(LOGITS),
        target_tokens: Int32Array.from(TARGETS),
        weights: Float32Array.of(1, 0.5, 2),
      });
      const rest = { lengths: LENGTHS, target_tokens: TARGETS };
      const states = () => ({ hidden: Float32Array.of(1, 2, 3, 4, 5, 6), head: Float32Array.of(1, 2, 3, 4), ...rest });
      const right = await compiled.forwardBackward(given());
      const gone = async (name: string, inputs: LossInputs, options: object = {}) => {
        // The first waits for nothing, the second for the first.
        const calls = [inputs, inputs].map((it) => compiled.forwardBackward(it, {}, options));
        const { buffer } = { ...inputs, ...options }[name] as Float32Array<ArrayBuffer>;
        structuredClone(buffer, { transfer: [buffer] });
        for (const call of calls)
          await expectError("INPUT_LENGTH", () => call, name, "was transferred or resized after the call was made");
      };
      for (const name of ["logits", "target_tokens", "weights"]) await gone(name, given());
      for (const name of ["hidden", "head"]) await gone(name, { ...states(), hidden_size: 2, target_tokens: [0, 1, 1] });
      await gone("weights", { ...states(), weights: Float32Array.of(1, 0, 1), target_tokens: [0, 1, 1] }, { skipMasked: true });
      expect(await compiled.forwardBackward(given())).toEqual(right);
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
