/** Every loss through NVRTC, driver and launches of the `cuda` device (fake), against `reference`; and what went over the wire. */

import { describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { emitText } from "../../codegen/emit/index.js";
import type { LossDefinition } from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";
import { coreLosses, sequencePolicy, spread } from "../codegen/golden-losses.js";
import { agrees, batchOf, inputsFor } from "../emulated/batch.js";
import { addressOf, expectLaunches, fakeMachine, openFake, type Sizes } from "./machine.js";

const machine = fakeMachine();
const LENGTHS = [3, 0, 2];
const [TOKENS, SEQUENCES] = [5, 3];
const sizes = (vocab: number, more: Partial<Sizes> = {}): Sizes => ({
  token: TOKENS,
  sequence: SEQUENCES,
  vocab,
  config: {},
  skipMasked: false,
  missing: ["weights"],
  ...more,
});

describe("in place on a buffer of the device, against reference", () => {
  test.each(Object.entries(coreLosses))("%s, bf16, two lanes to a row", async (_, loss) => {
    await agrees(await openFake(), loss, batchOf(LENGTHS, 61, "bf16", loss === sequencePolicy));
  });

  test.each([
    { loss: ppo, dtype: "f32", vocab: 1031 },
    { loss: spread, dtype: "f16", vocab: 1031 },
    { loss: sequencePolicy, dtype: "f32", vocab: 16385 },
  ] as const)("$loss.name, $dtype, V $vocab", async ({ loss, dtype, vocab }) => {
    await agrees(await openFake(), loss, batchOf(LENGTHS, vocab, dtype, loss === sequencePolicy));
  });
});

describe("what is launched", () => {
  test.each([
    { loss: ppo, config: { clip_low_threshold: 0.75, clip_high_threshold: 1.5 }, launches: 1 },
    { loss: spread, config: {}, launches: 3 },
    { loss: sequencePolicy, config: { clip_low_threshold: 0.5, clip_high_threshold: 1.25 }, launches: 3 },
  ])("$loss.name: $launches kernels with the arguments of the plan", async ({ loss, config, launches }) => {
    const device = await openFake();
    const { plan } = compilePlan({ loss, logits: "f32" });
    const text = emitText(plan, { target: "cuda", architecture: "sm_90", vocab: 61 });
    const compiled = await device.compile<LossDefinition>(loss, { vocab: 61 });
    const before = device.launches;
    machine.take();
    const inputs = inputsFor(loss, batchOf(LENGTHS, 61, "f32", loss === sequencePolicy).inputs());
    const result = await compiled.forwardBackward(inputs, config);
    const taken = machine.take();
    expectLaunches(taken.launches, plan, text, sizes(61, { config }));
    expect([result.launches, device.launches - before, taken.launches.length]).toEqual([launches, launches, launches]);
  });

  test("the gradient takes the place of a copy of the logits, and in place that of the caller's", async () => {
    const device = await openFake();
    const compiled = await device.compile<LossDefinition>(ppo, { vocab: 61 });
    const plan = compiled.plan();
    const logitsBuffer = plan.buffers.findIndex(({ name }) => name === "logits");
    const inputs = inputsFor(ppo, batchOf(LENGTHS, 61, "f32", false).inputs());
    const logits = await device.buffer(inputs.logits as Float32Array);
    for (const [given, inPlace, same] of [
      [inputs.logits, false, true],
      [logits, false, false],
      [logits, true, true],
    ] as const) {
      machine.take();
      await compiled.forwardBackward({ ...inputs, logits: given as Float32Array }, {}, { inPlace });
      const [launch] = machine.take().launches;
      if (!launch) throw new Error("nothing was launched");
      expect(addressOf(launch, plan, plan.results.gradient) === addressOf(launch, plan, logitsBuffer)).toBe(same);
    }
  });

  test("weights, skipMasked", async () => {
    const device = await openFake();
    const { plan } = compilePlan({ loss: ppo, logits: "f32" });
    const text = emitText(plan, { target: "cuda", architecture: "sm_90", vocab: 61 });
    const compiled = await device.compile<LossDefinition>(ppo, { vocab: 61 });
    const inputs = { ...inputsFor(ppo, batchOf(LENGTHS, 61, "f32", false).inputs()), weights: [1, 0, 0.5, -1, 0] };
    machine.take();
    const result = await compiled.forwardBackward(inputs, {}, { skipMasked: true });
    const config = { clip_low_threshold: 0.8, clip_high_threshold: 1.2 };
    expectLaunches(machine.take().launches, plan, text, sizes(61, { config, skipMasked: true, missing: [] }));
    expect([result.logprobs?.[1], result.logprobs?.[4]]).toEqual([0, 0]);
  });

  test("an empty batch launches nothing", async () => {
    const device = await openFake();
    const compiled = await device.compile(spread, { vocab: 61 });
    machine.take();
    const empty = { lengths: [0, 0], vocab: 61, logits: new Float32Array(0), target_tokens: new Int32Array(0) };
    expect((await compiled.forwardBackward(empty)).loss).toBe(0);
    expect(machine.take().launches).toEqual([]);
  });
});

test("what is copied is what the plan reads and what the caller gets, once each", async () => {
  const device = await openFake();
  const vocab = 61;
  const compiled = await device.compile<LossDefinition>(ppo, { vocab });
  const inputs = inputsFor(ppo, batchOf(LENGTHS, vocab, "f32", false).inputs());
  machine.take();
  await compiled.forwardBackward(inputs);
  const copied = (call: RegExp) =>
    taken
      .filter((entry) => call.test(entry.call))
      .map(({ bytes }) => Number(bytes))
      .sort((a, b) => a - b);
  const taken = machine.take().entries;
  const rows = TOKENS * vocab * 4;
  // Logits, targets, old logprobs and advantages at once, each on a boundary of 256 bytes.
  expect(copied(/HtoD/)).toEqual([Math.ceil(rows / 256) * 256 + 3 * 256]);
  // The loss, the status and logprobs at once; the gradient goes where the caller finds it.
  expect(copied(/DtoH/)).toEqual([3 * 256, rows]);
  expect(taken.filter(({ call }) => call === "cuStreamSynchronize").length).toBeLessThanOrEqual(2);
});

test("a device that is disposed of leaves nothing behind", async () => {
  machine.take();
  const device = await openFake();
  for (const loss of [ppo, spread]) {
    const compiled = await device.compile<LossDefinition>(loss);
    const inputs = inputsFor(loss, batchOf(LENGTHS, 61, "f32", false).inputs());
    const logits = await device.buffer(inputs.logits as Float32Array);
    await compiled.forwardBackward(inputs);
    await compiled.forwardBackward({ ...inputs, logits }, {}, { inPlace: true });
    // A result on the device that nobody disposes of.
    await compiled.forwardBackward({ ...inputs, logits });
    await expect(compiled.forwardBackward({ ...inputs, target_tokens: [0, 0, 0, 0, 61] })).rejects.toThrow();
  }
  await device.dispose();
  const { entries } = machine.take();
  const count = (call: string) => entries.filter((entry) => entry.call === call).length;
  expect(entries.at(-1)).toEqual({ call: "contextEnds", allocations: 0, streams: 0, graphs: 0 });
  expect(count("cuMemAlloc_v2")).toBeGreaterThan(0);
  expect(count("cuMemFree_v2")).toBe(count("cuMemAlloc_v2"));
  expect(count("cuModuleLoadData")).toBe(2);
  expect(count("cuModuleUnload")).toBe(2);
  expect(count("staleHandle")).toBe(0);
});
