/** Each thing that a driver can refuse in the middle of a call: the code, the device afterwards, and what the caller had on it before. */
import { describe, expect, onTestFinished, test } from "vitest";
import type { ErrorCode } from "../../dsl/errors.js";
import { defineLoss, type LossDefinition, variance } from "../../dsl/index.js";
import type { CompiledLoss, Device, DeviceBuffer, LossInputs } from "../../runtime/devices/device.js";
import { openDevice } from "../../runtime/index.js";
import { sequencePolicy, spread } from "../codegen/golden-losses.js";
import { batchOf, inputsFor } from "../emulated/batch.js";
import { expectError } from "../runtime/support.js";
import { fakeMachine, openFake } from "./machine.js";

const machine = fakeMachine();
const VOCAB = 61;

interface Setting {
  readonly device: Device;
  readonly compiled: CompiledLoss;
  readonly inputs: LossInputs;
  /** On the device: the logits of the call, and a gradient of an earlier one. */
  readonly logits: DeviceBuffer;
  readonly gathered: DeviceBuffer;
}

/** A device with a loss of several kernels, ready to be called. */
async function setting(): Promise<Setting> {
  const device = await openFake();
  const compiled = await device.compile<LossDefinition>(sequencePolicy, { vocab: VOCAB });
  const inputs = inputsFor(sequencePolicy, batchOf([3, 2], VOCAB, "f32", true).inputs());
  const logits = await device.buffer(inputs.logits as Float32Array);
  const { gradLogits } = await compiled.forwardBackward({ ...inputs, logits });
  const gathered = gradLogits as DeviceBuffer;
  // Garbage is collected now, or its release would be counted in a later test.
  onTestFinished(() => {
    logits.dispose();
    gathered.dispose();
  });
  return { device, compiled, inputs: { ...inputs, logits }, logits, gathered };
}

/** Everything that a call gives. */
async function answer({ compiled, inputs }: Setting): Promise<readonly unknown[]> {
  const { loss, logprobs, gradLogits } = await compiled.forwardBackward(inputs);
  const gradient = gradLogits as DeviceBuffer;
  const values = [loss, logprobs, await gradient.read()];
  gradient.dispose();
  return values;
}

const PASSING: readonly (readonly [fail: string, code: ErrorCode, said: string])[] = [
  ["cuMemAlloc_v2:2:1", "DEVICE_OUT_OF_MEMORY", "CUDA_ERROR_OUT_OF_MEMORY"],
  ["cuMemcpyHtoDAsync_v2:1:1", "DEVICE_FAULT", "copying to the GPU"],
  ["cuMemsetD8Async:1:1", "DEVICE_FAULT", "CUDA_ERROR_INVALID_VALUE"],
  ["cuMemsetD8Async:1:3", "DEVICE_FAULT", "filling memory"],
  ["cuLaunchKernel:1:1", "DEVICE_FAULT", "launching kernel k0"],
  ["cuLaunchKernel:701:2", "DEVICE_FAULT", "launching kernel k1"],
  ["cuLaunchKernel:2:3", "DEVICE_OUT_OF_MEMORY", "launching kernel k2"],
  ["cuStreamSynchronize:2:1", "DEVICE_OUT_OF_MEMORY", "waiting for the GPU"],
  ["cuMemcpyDtoHAsync_v2:1:1", "DEVICE_FAULT", "copying from the GPU"],
  ["cuCtxPushCurrent_v2:201:1", "DEVICE_FAULT", "CUDA_ERROR_INVALID_CONTEXT"],
];

/** A config that no call had before: what comes again, to the same addresses even, is replayed as a graph, and launches nothing that could fail. */
const unseen = (i: number) => ({ clip_low_threshold: 0.85 + i / 1000 });

describe("a failure that passes", () => {
  test.each(PASSING)("%s is %s; the next call has the same bits, and nothing else has changed", async (fail, code, said) => {
    const it = await setting();
    const before = { answer: await answer(it), logits: await it.logits.read(), gathered: await it.gathered.read() };
    machine.failWith(fail);
    await expectError(code, () => it.compiled.forwardBackward(it.inputs, unseen(0)), said);
    machine.failNoMore();
    // Counters that the failed call left dirty would show.
    expect(await answer(it)).toEqual(before.answer);
    expect(await it.logits.read()).toEqual(before.logits);
    expect(await it.gathered.read()).toEqual(before.gathered);
  });

  test("leaves no memory behind", async () => {
    machine.take();
    const it = await setting();
    for (const [i, [fail, code]] of PASSING.entries()) {
      // Garbage of the previous call is freed first: a failed allocation is repeated while garbage waits.
      await it.gathered.read();
      machine.failWith(fail);
      await expectError(code, () => it.compiled.forwardBackward(it.inputs, unseen(i)));
      machine.failNoMore();
    }
    it.logits.dispose();
    it.gathered.dispose();
    await it.device.dispose();
    const { entries } = machine.take();
    const count = (call: string) => entries.filter((entry) => entry.call === call && entry.injected === undefined).length;
    expect(count("cuMemFree_v2")).toBe(count("cuMemAlloc_v2"));
    expect(entries.at(-1)).toEqual({ call: "contextEnds", allocations: 0, streams: 0, graphs: 0 });
  });
});

describe("a failure that loses the context", () => {
  test.each(["cuStreamSynchronize:700:1", "cuStreamSynchronize:719:1"])(
    "%s is DEVICE_FAULT until the device is opened again",
    async (fail) => {
      const it = await setting();
      const right = await answer(it);
      machine.failWith(fail);
      await expectError("DEVICE_FAULT", () => it.compiled.forwardBackward(it.inputs), "open");
      machine.failNoMore();
      await expectError("DEVICE_FAULT", () => it.compiled.forwardBackward(it.inputs), "open the device again");
      await expectError("DEVICE_FAULT", () => it.logits.read(), "open the device again");
      await it.device.dispose();
      expect(await answer(await setting())).toEqual(right);
    },
  );
});

describe("kernels that cannot be had", () => {
  test.each([
    ["nvrtcCreateProgram:1:1", "COMPILE_FAILED"],
    ["nvrtcCompileProgram:6:1", "COMPILE_FAILED"],
    ["nvrtcCompileProgram:5:1", "COMPILE_FAILED"],
    ["cuModuleLoadData:2:1", "DEVICE_OUT_OF_MEMORY"],
    ["cuModuleLoadData:200:1", "DEVICE_FAULT"],
  ] as const)("%s is %s, and the next call works", async (fail, code) => {
    const device = await openFake();
    // A loss of its own, which no other test has left in the cache.
    const loss = defineLoss({ name: `variance with ${fail}`, loss: (policy) => variance(policy.logprobs) });
    const compiled = await device.compile<LossDefinition>(loss);
    const inputs = inputsFor(loss, batchOf([3, 2], VOCAB, "f32", false).inputs());
    machine.failWith(fail);
    await expectError(code, () => compiled.forwardBackward(inputs));
    machine.failNoMore();
    expect((await compiled.forwardBackward(inputs)).launches).toBe(3);
  });

  test("a kernel that is not in the module", async () => {
    const device = await openFake();
    const compiled = await device.compile<LossDefinition>(spread, { vocab: VOCAB });
    const inputs = inputsFor(spread, batchOf([3, 2], VOCAB, "f32", false).inputs());
    machine.failWith("cuModuleGetFunction:1:1");
    await expectError("DEVICE_FAULT", () => compiled.forwardBackward(inputs), "looking for kernel");
    machine.failNoMore();
    expect((await compiled.forwardBackward(inputs)).launches).toBe(3);
  });
});

describe("abort", () => {
  test("before, while waiting and while running is ABORTED, and the next call has the same bits", async () => {
    const it = await setting();
    const right = await answer(it);
    machine.take();
    const gone = AbortSignal.abort();
    await expectError("ABORTED", () => it.compiled.forwardBackward(it.inputs, {}, { signal: gone }));
    expect(machine.take().launches).toEqual([]);
    const controller = new AbortController();
    const calls = [1, 2, 3].map(() => it.compiled.forwardBackward(it.inputs, {}, { signal: controller.signal }));
    controller.abort();
    for (const call of calls) await expectError("ABORTED", () => call);
    expect(await answer(it)).toEqual(right);
  });
});

test("no memory for a buffer is DEVICE_OUT_OF_MEMORY, and what is there stays", async () => {
  const it = await setting();
  const before = await it.gathered.read();
  await expectError("DEVICE_OUT_OF_MEMORY", () => it.device.buffer({ dtype: "f32", length: 2 ** 29 }));
  expect(await it.gathered.read()).toEqual(before);
});

test("a device that was disposed of says so", async () => {
  const it = await setting();
  await it.device.dispose();
  await expectError("DISPOSED", () => it.compiled.forwardBackward(it.inputs));
  await expectError("DISPOSED", () => it.logits.read());
});

describe("opening", () => {
  test.each([
    ["cuInit:100:1", "DEVICE_NOT_FOUND"],
    ["cuDevicePrimaryCtxRetain:2:1", "DEVICE_OUT_OF_MEMORY"],
    ["cuStreamCreate:2:1", "DEVICE_OUT_OF_MEMORY"],
  ] as const)("with %s is %s, and works the next time", async (fail, code) => {
    machine.failWith(fail);
    await expectError(code, () => openDevice("cuda:0"));
    machine.failNoMore();
    const device = await openDevice("cuda:0");
    onTestFinished(() => device.dispose());
    expect(device.name).toBe("cuda:0");
  });
});
