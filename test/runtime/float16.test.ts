/** `Float16Array`, which Node has from 24 on. Before, a class of that name stands in for it, with the bits for its numbers. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineLoss, mul } from "../../dsl/index.js";
import { cross_entropy } from "../../losses/index.js";
import type { DeviceBuffer, FloatSource, LossResult } from "../../runtime/devices/device.js";
import { type Float16Numbers, toF16 } from "../../runtime/devices/dtypes.js";
import { numbers } from "./oracle.js";
import { eachDevice, expectError, LENGTHS, LOGITS, ppoInputs, TARGETS } from "./support.js";

type Class = new (...from: unknown[]) => Float16Numbers;
const scope = globalThis as { Float16Array?: Class };
const native = scope.Float16Array;

beforeAll(() => {
  scope.Float16Array ??= class Float16Array extends Uint16Array {} as unknown as Class;
});
afterAll(() => {
  if (!native) delete scope.Float16Array;
});

const bits = (values: readonly number[]) => Uint16Array.from(values, toF16);
/** The numbers as a `Float16Array`. */
const halves = (values: readonly number[]): Float16Numbers => new (scope.Float16Array as Class)(bits(values).buffer);
const bitsOf = (array: unknown): number[] => {
  const { buffer, byteOffset, length } = array as Float16Numbers;
  return numbers(new Uint16Array(buffer, byteOffset, length));
};

const weighted = defineLoss({
  name: "weighted",
  inputs: { factor: "token" },
  loss: (policy, inputs) => mul(policy.logprobs, inputs.factor),
});
const inputs = () => ({ lengths: LENGTHS, target_tokens: TARGETS, logits: halves(LOGITS) });
const asBits = () => ({ ...inputs(), logits: { data: bits(LOGITS), dtype: "f16" } as const });

eachDevice((open, device) => {
  describe("a Float16Array", () => {
    const computes = device !== "reference";

    test("of logits is float16, and so is its gradient", async () => {
      const compiled = await (await open()).compile(cross_entropy, { dtype: "f16" });
      const given = inputs();
      const [result, expected] = [await compiled.forwardBackward(given), await compiled.forwardBackward(asBits())];
      expect(result.loss).toBe(expected.loss);
      expect(bitsOf(given.logits)).toEqual(numbers(bits(LOGITS)));
      if (!computes) return expect(result.gradLogits).toEqual(expected.gradLogits);
      expect(result.gradLogits).toBeInstanceOf(scope.Float16Array);
      expect(bitsOf(result.gradLogits)).toEqual(numbers(expected.gradLogits));
      expect(expected.gradLogits?.constructor).toBe(Uint16Array);
    });

    test("is overwritten in place, also where it is called the data of a dtype", async () => {
      const compiled = await (await open()).compile(cross_entropy, { dtype: "f16" });
      const wanted = (await compiled.forwardBackward(asBits(), {}, { inPlace: true })).gradLogits;
      for (const wrap of [(array: Float16Numbers): unknown => array, (data: Float16Numbers) => ({ data, dtype: "f16" })]) {
        const logits = halves(LOGITS);
        const { gradLogits } = await compiled.forwardBackward(
          { ...inputs(), logits: wrap(logits) as FloatSource },
          {},
          { inPlace: true },
        );
        expect(gradLogits).toBe(logits);
        expect(bitsOf(logits)).toEqual(numbers(wanted));
      }
      const none = halves([]);
      const empty = { lengths: [0], logits: none, target_tokens: [], vocab: 4 };
      expect((await compiled.forwardBackward(empty, {}, { inPlace: true })).gradLogits).toBe(none);
      if (computes) expect((await compiled.forwardBackward(empty)).gradLogits).toBeInstanceOf(scope.Float16Array);
      const data = halves(LOGITS);
      const mistaken = { ...inputs(), logits: { data, dtype: "bf16" } as never };
      await expectError("INPUT_DTYPE", () => compiled.forwardBackward(mistaken), "logits.data is a Float16Array", "bf16");
      const overlapping = { ...inputs(), logits: data, weights: new Float32Array(data.buffer, 0, 3) };
      await expectError("INPUT_OVERLAP", () => compiled.forwardBackward(overlapping, {}, { inPlace: true }), "weights");
    });

    test("of an input, of weights and of hidden states with their head", async () => {
      const opened = await open();
      const factor = [0.5, -2, 0.25];
      const compiled = await opened.compile(weighted);
      const rows = { ...ppoInputs(), logprobs: undefined, advantages: undefined };
      const found = await compiled.forwardBackward({ ...rows, factor: halves(factor), weights: halves(factor) });
      expect(found.loss).toBe((await compiled.forwardBackward({ ...rows, factor, weights: factor })).loss);
      if (device === "emulated") return;
      const head = await opened.compile(cross_entropy, { dtype: "f16" });
      const [hidden, matrix] = [
        [1, 2, 3, 4, 5, 6],
        [0.5, -1, 2, 1],
      ];
      const run = (wrap: (values: readonly number[]) => FloatSource, options = {}): Promise<LossResult> =>
        head.forwardBackward(
          { lengths: LENGTHS, target_tokens: [0, 1, 1], hidden: wrap(hidden), head: wrap(matrix) },
          {},
          options,
        );
      const [ours, theirs] = [await run(halves), await run((values) => ({ data: bits(values), dtype: "f16" }))];
      for (const of of ["gradHidden", "gradHead"] as const) {
        if (!computes) expect(ours[of]).toEqual(theirs[of]);
        else expect([ours[of]?.constructor, bitsOf(ours[of])]).toEqual([scope.Float16Array, numbers(theirs[of])]);
      }
      if (opened.native && !opened.native.hostMemory) return;
      const gradHead = halves([1, 1, 1, 1]);
      expect((await run(halves, { gradHead })).gradHead).toBe(gradHead);
      expect(bitsOf(gradHead)).not.toEqual(bitsOf(halves([1, 1, 1, 1])));
    });

    test("becomes a device buffer of f16, and is written into one", async () => {
      const opened = await open();
      const buffer: DeviceBuffer = await opened.buffer(halves([1, -2.5]));
      expect([buffer.dtype, buffer.length]).toEqual(["f16", 2]);
      expect(await buffer.read()).toEqual(bits([1, -2.5]));
      await buffer.write(halves([0.5, 4]));
      expect(await buffer.read()).toEqual(bits([0.5, 4]));
      const floats = await opened.buffer({ dtype: "f32", length: 2 });
      await expectError("INPUT_DTYPE", () => floats.write(halves([1, 2])), "Float16Array", "f32");
      await expectError("INPUT_DTYPE", () => opened.buffer(halves([1]), "bf16"), "Float16Array", "bf16");
    });
  });
});
