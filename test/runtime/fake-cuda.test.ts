/**
 * The whole path of `cuda` without a GPU: real kernel texts through a fake NVRTC (which has `nvcc` make PTX of them, or, where there is none, puts
 * the prelude of `emulated` in the place of that of `cuda`) and a fake driver (which runs the launches lane by lane), so that everything that will
 * meet a GPU but the silicon has run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { preludeText } from "../../codegen/emit/index.js";
import { cross_entropy, ppo } from "../../losses/index.js";
import { findNvcc } from "../../runtime/compilers/index.js";
import { openDevice } from "../../runtime/index.js";
import { FakeMachine } from "../native/fake/machine.js";
import { deviceSuite } from "./suite.js";
import { crossEntropyInputs, expectError, openOnly, ppoInputs } from "./support.js";

// Before the first device: the addon looks for CUDA only once. Binaries of the fake have no place in a cache that a GPU will read.
const machine = new FakeMachine();
machine.prelude = preludeText("emulated");
const nvcc = await findNvcc();
if (nvcc !== null) machine.nvcc = nvcc;
const cache = mkdtempSync(join(tmpdir(), "lossc-fake-cache-"));
process.env.LOSSC_CACHE_DIR = cache;
afterEach(() => machine.failNoMore());
afterAll(() => {
  machine.remove();
  rmSync(cache, { recursive: true, force: true });
});

describe("cuda:0 (fake)", () => {
  deviceSuite((options) => openOnly("cuda:0", options), "cuda:0");

  test("is the device where none is named, and cuda means cuda:0", async () => {
    for (const name of [undefined, "cuda"]) {
      await using device = await openDevice(name);
      expect(device.name).toBe("cuda:0");
    }
  });

  test("launches a token-local loss once, over all tokens", async () => {
    const device = await openOnly("cuda:0");
    const compiled = await device.compile(ppo, { vocab: 4 });
    machine.take();
    await compiled.forwardBackward(ppoInputs());
    const { launches } = machine.take();
    expect(launches.map(({ kernel }) => kernel)).toEqual(["k0"]);
    expect(device.launches).toBe(1);
  });

  test("copies only what is not there already", async () => {
    const device = await openOnly("cuda:0");
    const compiled = await device.compile(cross_entropy, { vocab: 4 });
    const inputs = crossEntropyInputs();
    const onDevice = {
      ...inputs,
      logits: await device.buffer(inputs.logits),
      target_tokens: await device.buffer(inputs.target_tokens),
    };
    await compiled.forwardBackward(onDevice, {}, { inPlace: true });
    machine.take();
    await compiled.forwardBackward(onDevice, {}, { inPlace: true });
    const { entries } = machine.take();
    expect(entries.filter(({ call }) => /HtoD/.test(call))).toEqual([]);
    expect(entries.filter(({ call }) => /Alloc/.test(call))).toEqual([]);
  });

  test("small arrays go to the device in one copy, and small results come back in one", async () => {
    const device = await openOnly("cuda:0");
    const compiled = await device.compile(ppo, { vocab: 4 });
    const inputs = ppoInputs();
    const expected = await compiled.forwardBackward(inputs);
    const given = { ...inputs, logits: await device.buffer(inputs.logits) };
    // Memory is made by a call that differs in its config.
    const options = { inPlace: true, metrics: ["ratio:mean", "kl_k1", "ratio:max"] } as const;
    await compiled.forwardBackward(given, { clip_low_threshold: 0.7 }, options);
    await given.logits.write(inputs.logits);
    machine.take();
    const found = await compiled.forwardBackward(given, {}, options);
    // Sums begin at 0, and the status at 255.
    expect(machine.take().entries.map(({ call, value = "" }) => `${call} ${value}`)).toEqual([
      "cuMemcpyHtoDAsync_v2 ",
      "cuMemsetD8Async 0",
      "cuMemsetD8Async 255",
      "cuLaunchKernel ",
      "cuLaunchKernel ",
      "cuMemcpyDtoHAsync_v2 ",
      "cuStreamSynchronize ",
    ]);
    expect(found.loss).toBe(expected.loss);
    expect(found.logprobs).toEqual(expected.logprobs);
    // Arrays of the caller do not share memory with later calls.
    expect(found.logprobs?.buffer.byteLength).toBe(found.logprobs?.byteLength);
  });

  test("a call that comes again is replayed as a graph, and follows its inputs and its config", async () => {
    const device = await openOnly("cuda:0");
    const compiled = await device.compile(ppo, { vocab: 4 });
    const inputs = ppoInputs();
    const logits = await device.buffer(inputs.logits);
    const call = async (config: { clip_high_threshold?: number } = {}, advantages = inputs.advantages) => {
      await logits.write(inputs.logits);
      machine.take();
      const { loss } = await compiled.forwardBackward({ ...inputs, logits, advantages }, config, { inPlace: true });
      const { entries, launches } = machine.take();
      return { loss, gradient: await logits.read(), replayed: entries.some(({ call }) => call === "cuGraphLaunch"), launches };
    };
    const first = await call();
    expect([first.replayed, first.launches.length]).toEqual([false, 1]);
    for (let i = 0; i < 2; i++) expect(await call()).toEqual({ ...first, replayed: true, launches: [] });
    expect(device.launches).toBe(3);
    const doubled = await call(
      {},
      inputs.advantages.map((advantage) => 2 * advantage),
    );
    expect([doubled.replayed, doubled.loss]).toEqual([true, 2 * first.loss]);
    const narrow = await call({ clip_high_threshold: 0.9 });
    expect(narrow.replayed).toBe(false);
    expect(narrow.loss).not.toBe(first.loss);
  });

  test("a bad target on the device is found by the kernel", async () => {
    const device = await openOnly("cuda:0");
    const compiled = await device.compile(cross_entropy);
    const target_tokens = await device.buffer(Int32Array.of(0, 9, 1));
    await expectError(
      "TARGET_OUT_OF_RANGE",
      () => compiled.forwardBackward({ ...crossEntropyInputs(), target_tokens }),
      "datum 0, token 1",
    );
    expect((await compiled.forwardBackward(crossEntropyInputs())).loss).toBeGreaterThan(0);
  });

  test("no memory is DEVICE_OUT_OF_MEMORY, and the next call works", async () => {
    const device = await openOnly("cuda:0");
    const compiled = await device.compile(ppo, { vocab: 4 });
    machine.failWith("cuMemAlloc_v2:2:1");
    await expectError("DEVICE_OUT_OF_MEMORY", () => compiled.forwardBackward(ppoInputs()), "fewer tokens");
    machine.failNoMore();
    expect((await compiled.forwardBackward(ppoInputs())).launches).toBe(1);
    machine.failWith("cuMemAlloc_v2:2:1");
    await expectError("DEVICE_OUT_OF_MEMORY", () => device.buffer({ dtype: "f32", length: 1 << 20 }));
    machine.failNoMore();
    await device.buffer({ dtype: "f32", length: 1 << 20 });
  });

  test("a launch that fails is DEVICE_FAULT, and the next call works", async () => {
    const device = await openOnly("cuda:0");
    const compiled = await device.compile(ppo, { vocab: 4 });
    const { loss } = await compiled.forwardBackward(ppoInputs(), { clip_low_threshold: 0.7 });
    machine.failWith("cuLaunchKernel:701:1");
    await expectError("DEVICE_FAULT", () => compiled.forwardBackward(ppoInputs()));
    machine.failNoMore();
    expect((await compiled.forwardBackward(ppoInputs(), { clip_low_threshold: 0.7 })).loss).toBe(loss);
  });

  test("a text that NVRTC refuses is COMPILE_FAILED with its log, and the next one works", async () => {
    const device = await openOnly("cuda:0");
    const bad = { comment: "a mistake", kernels: [{ id: "k0", body: "struct K0 { this is none };" }] };
    const error = await expectError("COMPILE_FAILED", () => device.loadModule(bad), "kernel.cu", "error:");
    expect(error.log).toContain("error");
    expect(error.text).toContain(cache);
    expect((await (await device.compile(ppo)).forwardBackward(ppoInputs())).launches).toBe(1);
  });

  test("an ordinal that is not there is DEVICE_NOT_FOUND", async () => {
    await expectError("DEVICE_NOT_FOUND", () => openDevice("cuda:7"), "7");
  });
});
