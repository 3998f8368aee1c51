/** The end of a compiled loss: its kernels are unloaded, and nothing else notices. */
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test, vi } from "vitest";
import { defineLoss, type LossDefinition, losses, mul, TrainingClient, type TrainingPolicy } from "../../index.js";
import { compileBatch } from "../../runtime/compiled/compile-batch.js";
import type { Device } from "../../runtime/devices/device.js";
import { AddonDevice } from "../../runtime/devices/native-device.js";
import { crossEntropyInputs, eachDevice, expectError, LOGITS, openOnly, ppoInputs, TARGETS, VOCAB } from "./support.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const modulesOf = (device: Device) => (device instanceof AddonDevice ? device.modules.size : 0);
/** Pieces of code that the process has mapped. */
const mapped = () =>
  readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .filter((line) => / r-xp /.test(line)).length;

eachDevice((open) => {
  test("a compiled loss that has been disposed of takes no calls, and the device goes on", async () => {
    const device = await open();
    const compiled = await device.compile(losses.ppo);
    const { loss } = await compiled.forwardBackward(ppoInputs());
    compiled.dispose();
    compiled.dispose();
    await expectError("DISPOSED", () => compiled.forwardBackward(ppoInputs()), "ppo", "device.compile()");
    expect(modulesOf(device)).toBe(0);
    expect(compiled.plan().name).toBe("ppo");
    await using again = await device.compile(losses.ppo, { vocab: VOCAB });
    expect((await again.forwardBackward(ppoInputs())).loss).toBe(loss);
  });

  test("what was asked for before a loss is disposed of still runs", async () => {
    const device = await open();
    using compiled = await device.compile(losses.ppo);
    const calls = [compiled.forwardBackward(ppoInputs()), compiled.forwardBackward(ppoInputs())];
    compiled.dispose();
    await expectError("DISPOSED", () => compiled.forwardBackward(ppoInputs()));
    const [first, second] = await Promise.all(calls);
    expect(first?.loss).toBe(second?.loss);
    expect(modulesOf(device)).toBe(0);
  });

  test("a call that was given up while it waited keeps no kernels", async () => {
    const device = await open();
    using other = await device.compile(losses.cross_entropy);
    const running = other.forwardBackward(crossEntropyInputs());
    const compiled = await device.compile(losses.ppo, { vocab: VOCAB });
    const controller = new AbortController();
    const waiting = compiled.forwardBackward(ppoInputs(), {}, { signal: controller.signal });
    compiled.dispose();
    controller.abort();
    await expectError("ABORTED", () => waiting);
    await running;
    expect(modulesOf(device)).toBe(device instanceof AddonDevice ? 1 : 0);
  });

  test("a loss is disposed of after its device", async () => {
    const device = await open();
    const compiled = await device.compile(losses.ppo, { vocab: VOCAB });
    await device.dispose();
    compiled.dispose();
    await expectError("DISPOSED", () => compiled.forwardBackward(ppoInputs()), device.name);
  });
});

test("losses of one text share its module until the last of them is disposed of", async () => {
  const device = await openOnly("cpu");
  const [first, second] = await Promise.all([1, 2].map(() => device.compile(losses.ppo, { vocab: VOCAB })));
  expect(modulesOf(device)).toBe(1);
  first?.dispose();
  expect(modulesOf(device)).toBe(1);
  expect((await second?.forwardBackward(ppoInputs()))?.loss).toBeTypeOf("number");
  second?.dispose();
  expect(modulesOf(device)).toBe(0);

  const together = await compileBatch(device, [losses.ppo, losses.cross_entropy], { dtype: "f32", vocab: [VOCAB, 2 * VOCAB] });
  expect(modulesOf(device)).toBe(1);
  together[0]?.dispose();
  expect((await together[1]?.forwardBackward(crossEntropyInputs()))?.loss).toBeTypeOf("number");
  together[1]?.dispose();
  expect(modulesOf(device)).toBe(0);
});

test.runIf(process.platform === "linux")("compiling and disposing again and again leaves no code behind", async () => {
  const device = await openOnly("cpu");
  // Different texts: of one text the system may map the same file once.
  const different = [1, 2, 3, 4].map((i) => defineLoss({ name: `number ${i}`, loss: (policy) => mul(policy.logprobs, i) }));
  const cycle = async (loss: LossDefinition) => {
    using compiled = await device.compile(loss, { vocab: VOCAB });
    await compiled.forwardBackward(crossEntropyInputs());
  };
  const [first, ...others] = different as [LossDefinition, ...LossDefinition[]];
  await cycle(first);
  const before = mapped();
  for (let i = 0; i < 10; i++) for (const loss of others) await cycle(loss);
  // The device's thread unloads what it is given, when it is idle.
  await vi.waitFor(() => expect(mapped()).toBeLessThanOrEqual(before), { timeout: 5000 });
  expect(modulesOf(device)).toBe(0);
});

test("a loss that nobody holds any more gives its kernels back", async () => {
  const device = await openOnly("cpu");
  await (async () => {
    const compiled = await device.compile(losses.ppo, { vocab: VOCAB });
    await compiled.forwardBackward(ppoInputs());
    collect();
    expect(modulesOf(device)).toBe(1);
  })();
  await vi.waitFor(
    () => {
      collect();
      expect(modulesOf(device)).toBe(0);
    },
    { timeout: 10_000, interval: 50 },
  );
});

test("a training client keeps nothing of a function that was made for one call", async () => {
  const device = await openOnly("cpu");
  const policy = {
    forward: async () => ({ logits: Float32Array.from(LOGITS) }),
    backward: async () => {},
  } as unknown as TrainingPolicy;
  const client = new TrainingClient({ policy, device });
  const data = [{ modelInput: [1, 2, 3], lossFnInputs: { target_tokens: TARGETS } }];
  for (let i = 1; i <= 2; i++) await client.forwardBackwardCustom(data, (given) => mul(given.logprobs, i));
  expect(modulesOf(device)).toBeGreaterThan(0);
  await vi.waitFor(
    () => {
      collect();
      expect(modulesOf(device)).toBe(0);
    },
    { timeout: 10_000, interval: 50 },
  );
  const kept = defineLoss({ name: "kept", loss: (given) => given.logprobs });
  await client.forwardBackwardCustom(data, kept);
  collect();
  expect(modulesOf(device)).toBe(1);
});
