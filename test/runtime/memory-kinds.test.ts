/** Memory that changes under a call, and what only looks like an array. */
import { describe, expect, test } from "vitest";
import { TrainingClient, type TrainingPolicy } from "../../index.js";
import { cross_entropy } from "../../losses/index.js";
import type { NativeDevice } from "../../runtime/addon/native.js";
import type { CompiledLoss, LossResult } from "../../runtime/devices/device.js";
import { numbers } from "./oracle.js";
import { crossEntropyInputs, eachDevice, expectClose, expectError, LENGTHS, LOGITS, openOnly, TARGETS } from "./support.js";

/** TypeScript does not know yet that memory can be resized. */
type Resizable = ArrayBuffer & { resize(bytes: number): void };
const resizable = (bytes: number): Resizable =>
  new (ArrayBuffer as unknown as new (bytes: number, options: object) => Resizable)(bytes, { maxByteLength: 2 * bytes });

function inResizable(values: readonly number[]): { array: Float32Array; memory: Resizable } {
  const memory = resizable(4 * values.length);
  const array = new Float32Array(memory);
  array.set(values);
  return { array, memory };
}

eachDevice((open) => {
  describe("memory that may shrink", () => {
    test("is copied when the call is made", async () => {
      const compiled = await (await open()).compile(cross_entropy);
      const expected = await compiled.forwardBackward({ ...crossEntropyInputs(), weights: [1, 0.5, 2] });
      const [logits, weights] = [inResizable(LOGITS), inResizable([1, 0.5, 2])];
      const targets = new Int32Array(resizable(12));
      targets.set(TARGETS);
      const given = { lengths: LENGTHS, logits: logits.array, target_tokens: targets, weights: weights.array };
      const calls = [compiled.forwardBackward(given), compiled.forwardBackward(given)];
      for (const { memory } of [logits, weights]) memory.resize(0);
      (targets.buffer as unknown as Resizable).resize(4);
      for (const call of calls) {
        const { loss, gradLogits } = await call;
        expect(loss).toBe(expected.loss);
        expect(numbers(gradLogits)).toEqual(numbers(expected.gradLogits));
      }
    });

    test("is not written in place", async () => {
      const device = await open();
      const compiled = await device.compile(cross_entropy);
      const { array } = inResizable(LOGITS);
      const call = () => compiled.forwardBackward({ ...crossEntropyInputs(), logits: array }, {}, { inPlace: true });
      await expectError("INPUT_DTYPE", call, "logits", "cannot be resized");
      expect(numbers(array)).toEqual(LOGITS.map(Math.fround));
    });

    test("is copied into buffers as it was", async () => {
      const device = await open();
      const { array, memory } = inResizable([1, 2, 3]);
      const made = device.buffer(array);
      memory.resize(4);
      const buffer = await made;
      expect(await buffer.read()).toEqual(Float32Array.of(1, 2, 3));
      const other = inResizable([4, 5, 6]);
      const written = buffer.write(other.array);
      other.memory.resize(0);
      await written;
      expect(await buffer.read()).toEqual(Float32Array.of(4, 5, 6));
    });
  });

  test("an array beyond the end of memory that has shrunk is empty", async () => {
    const device = await open();
    const memory = resizable(12);
    const array = new Float32Array(memory, 4, 2);
    memory.resize(4);
    expect(await (await device.buffer(array)).read()).toEqual(new Float32Array(0));
    const compiled = await device.compile(cross_entropy);
    const call = () => compiled.forwardBackward({ ...crossEntropyInputs(), logits: array });
    await expectError("INPUT_LENGTH", call, "logits");
  });

  test("an array whose memory goes elsewhere before it is copied into a buffer", async () => {
    const device = await open();
    const buffer = await device.buffer(Float32Array.of(1, 2, 3));
    const compiled = await device.compile(cross_entropy);
    const before = compiled.forwardBackward(crossEntropyInputs());
    const gone = () => {
      const array = Float32Array.of(7, 8, 9);
      const ends = [buffer.write(array), device.buffer(array)];
      structuredClone(array.buffer, { transfer: [array.buffer] });
      return ends;
    };
    for (const end of gone()) await expectError("INPUT_LENGTH", () => end, "had 3 numbers and has 0");
    await before;
    expect(await buffer.read()).toEqual(Float32Array.of(1, 2, 3));
  });

  test("what only looks like an array is refused by its name", async () => {
    const compiled = await (await open()).compile(cross_entropy);
    const run = (given: object) => () => compiled.forwardBackward({ ...crossEntropyInputs(), ...given });
    const refused = (name: string, value: unknown, ...says: string[]) =>
      expectError("INPUT_DTYPE", run({ [name]: value }), name, ...says);
    await refused("logits", Object.create(Float32Array.prototype), "a Float32Array");
    await refused("logits", new DataView(new ArrayBuffer(48)), "a DataView");
    await refused("logits", new Int32Array(12), "a Int32Array");
    await refused("logits", new BigInt64Array(12), "a BigInt64Array");
    await refused("logits", { data: new DataView(new ArrayBuffer(24)), dtype: "bf16" }, "logits.data is a DataView");
    await refused("logits", { data: Object.create(Uint16Array.prototype), dtype: "f16" }, "logits.data");
    await refused("logits", new ArrayBuffer(48), "a ArrayBuffer");
    await refused("target_tokens", Object.create(Int32Array.prototype), "a Int32Array");
    await refused("target_tokens", Object.create(BigInt64Array.prototype), "a BigInt64Array");
    await refused("lengths", Object.create(Uint32Array.prototype), "a Uint32Array");
  });

  test("arrays of classes that inherit are arrays", async () => {
    class Tensor extends Float32Array {}
    class Row extends Array<number> {}
    const compiled = await (await open()).compile(cross_entropy);
    const expected = await compiled.forwardBackward(crossEntropyInputs());
    const logits = Tensor.from(LOGITS);
    const result = await compiled.forwardBackward(
      { lengths: Row.from(LENGTHS), logits, target_tokens: Row.from(TARGETS) },
      {},
      { inPlace: true },
    );
    expect(result.gradLogits).toBe(logits);
    expectClose(logits, numbers(expected.gradLogits), 1e-7);
  });
});

test("a policy may give logits in memory that could shrink; their gradient comes in memory of its own", async () => {
  const device = await openOnly("cpu");
  const { array } = inResizable(LOGITS);
  const gradients: unknown[] = [];
  const policy = {
    forward: async () => ({ logits: array }),
    backward: async (gradient: unknown) => void gradients.push(gradient),
  };
  const client = new TrainingClient({ policy: policy as unknown as TrainingPolicy, device });
  const { loss } = await client.forwardBackward(
    [{ modelInput: TARGETS, lossFnInputs: { target_tokens: TARGETS } }],
    "cross_entropy",
  );
  const expected = await (await device.compile(cross_entropy)).forwardBackward({ ...crossEntropyInputs(), lengths: [3] });
  expect([loss, gradients]).toEqual([expected.loss, [expected.gradLogits]]);
  expect(numbers(array)).toEqual(LOGITS.map(Math.fround));
});

describe("memory that goes elsewhere while the kernels run", () => {
  /** Runs a call whose memory is transferred as soon as its kernels have begun. What held it is kept, so that they still write to memory. */
  async function whileItRuns(memory: ArrayBuffer, call: (loss: CompiledLoss) => Promise<LossResult>): Promise<ArrayBuffer> {
    const device = await openOnly("cpu");
    const compiled = await device.compile(cross_entropy);
    const right = await compiled.forwardBackward(crossEntropyInputs());
    const native = device.native as { run?: NativeDevice["run"] };
    let kept = memory;
    const run: NativeDevice["run"] = (...program) => {
      // The addon's own again.
      delete native.run;
      const end = (native as NativeDevice).run(...program);
      kept = structuredClone(memory, { transfer: [memory] });
      return end;
    };
    Object.defineProperty(native, "run", { value: run, configurable: true });
    await expectError("INPUT_LENGTH", () => call(compiled), "was transferred or resized after the call was made");
    expect(await compiled.forwardBackward(crossEntropyInputs())).toEqual(right);
    return kept;
  }

  test("is no place for the gradient of policy_logprobs", async () => {
    const policy_logprobs = Float32Array.of(-1, -2, -3);
    const inputs = { lengths: LENGTHS, policy_logprobs };
    const kept = await whileItRuns(policy_logprobs.buffer, (loss) => loss.forwardBackward(inputs, {}, { inPlace: true }));
    expect(new Float32Array(kept)).toEqual(Float32Array.of(-1, -2, -3));
  });

  test("is no place for the gradient of a head", async () => {
    const gradHead = Float32Array.of(1, 1, 1, 1);
    const hidden = Float32Array.of(1, 2, 3, 4, 5, 6);
    const inputs = { lengths: LENGTHS, hidden, head: Float32Array.of(0.5, -1, 2, 1), target_tokens: [0, 1, 1] };
    const kept = await whileItRuns(gradHead.buffer, (loss) => loss.forwardBackward(inputs, {}, { gradHead, inPlace: true }));
    expect(new Float32Array(kept)).toEqual(Float32Array.of(1, 1, 1, 1));
    // No half of a gradient is left in what was to be overwritten.
    expect(hidden).toEqual(new Float32Array(6));
  });

  test("ends a call that only reads it", async () => {
    const weights = Float32Array.of(1, 2, 3);
    await whileItRuns(weights.buffer, (loss) => loss.forwardBackward({ ...crossEntropyInputs(), weights }));
  });
});
