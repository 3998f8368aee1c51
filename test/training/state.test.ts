import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TrainingClient, type TrainingPolicy } from "../../index.js";
import type { Device } from "../../runtime/devices/device.js";
import { expectError, temporaryFolder } from "../runtime/support.js";
import { data, eachTrainingDevice, everyBit, TablePolicy, targetsOnly } from "./support.js";

async function trained(device: Device, steps: number) {
  const policy = await TablePolicy.create(device);
  const client = new TrainingClient({ policy, device });
  for (let i = 0; i < steps; i++) await train(client);
  return { policy, client };
}

async function train(client: TrainingClient): Promise<void> {
  await client.forwardBackward(data(), "ppo");
  await client.optimStep({ learningRate: 0.05 });
}

eachTrainingDevice((open) => {
  test("a state that was saved and loaded goes on with the same bits", async () => {
    const path = join(temporaryFolder(), "state");
    const device = await open();
    const { client, policy } = await trained(device, 3);
    await client.saveState(path);
    const other = await trained(device, 1);
    // Gathered gradients belong to the old weights.
    await other.client.forwardBackward(targetsOnly(), "cross_entropy");
    await other.client.loadState(path);
    expect(await everyBit(other.policy)).toBe(await everyBit(policy));
    await Promise.all([train(client), train(other.client)]);
    expect(await everyBit(other.policy)).toBe(await everyBit(policy));
  });

  test("saving waits for the calls before it", async () => {
    const folder = temporaryFolder();
    const device = await open();
    const { client, policy } = await trained(device, 0);
    await Promise.all([
      client.forwardBackward(data(), "ppo"),
      client.optimStep(),
      client.saveState(join(folder, "a")),
      client.optimStep(),
    ]);
    const after = await everyBit(policy);
    await client.loadState(join(folder, "a"));
    expect(await everyBit(policy)).not.toBe(after);
    await client.optimStep();
    expect(await everyBit(policy)).toBe(after);
  });

  test("a file that is damaged is refused, and nothing is lost", async () => {
    const path = join(temporaryFolder(), "state");
    const device = await open();
    const { client, policy } = await trained(device, 2);
    await client.saveState(path);
    await client.forwardBackward(data(), "ppo");
    const before = await everyBit(policy);
    const good = readFileSync(path);
    const flipped = (at: number) => Buffer.from(good.map((byte, i) => (i === at ? byte ^ 1 : byte)));
    const damaged: Record<string, Buffer> = {
      "is empty": Buffer.alloc(0),
      "is something else": Buffer.from('{ "weights": [1, 2, 3] }'),
      "ends early": good.subarray(0, good.length - 3),
      "has more": Buffer.concat([good, Buffer.alloc(4)]),
      "differs in a weight": flipped(good.length - 30),
      "differs in its header": flipped(100),
      "differs in its digest": flipped(good.indexOf('"sha256":"') + 12),
    };
    for (const [name, bytes] of Object.entries(damaged)) {
      writeFileSync(path, bytes);
      const error = await expectError("USAGE", () => client.loadState(path), path);
      expect(await everyBit(policy), `${name}: ${error.message}`).toBe(before);
    }
    writeFileSync(path, good.toString("latin1").replace('"version":"2"', '"version":"7"'), "latin1");
    await expectError("USAGE", () => client.loadState(path), "format 7");
    await expectError("USAGE", () => client.loadState(`${path}.none`), `${path}.none`);
    expect(await everyBit(policy)).toBe(before);
  });

  test("a state of another policy is refused whole", async () => {
    const path = join(temporaryFolder(), "state");
    const device = await open();
    const larger = await TablePolicy.create(device, 6);
    await new TrainingClient({ policy: larger, device }).saveState(path);
    const { client, policy } = await trained(device, 2);
    const before = await everyBit(policy);
    await expectError("INPUT_LENGTH", () => client.loadState(path), "weights/table", "6 × 6", "5 × 5");
    const { tensors } = await policy.state();
    await expectError("INPUT_MISSING", () => policy.load({ step: 1, tensors: {} }), "weights/table");
    const more = { ...tensors, "weights/head": { shape: [1], data: new Float32Array(1) } };
    await expectError("INPUT_UNKNOWN", () => policy.load({ step: 1, tensors: more }), "weights/head");
    await expectError("USAGE", () => policy.load({ step: -1, tensors }), "step");
    expect(await everyBit(policy)).toBe(before);
  });

  test("a state that cannot be written leaves the one that was there, and no other file", async () => {
    const folder = temporaryFolder();
    const device = await open();
    const { client } = await trained(device, 1);
    await expectError("USAGE", () => client.saveState(join(folder, "none", "state")), "none");
    const tensors = { a: { shape: [2], data: new Float32Array(3) } };
    for (const state of [{}, { step: 1, tensors: null }, { step: Number.NaN, tensors: {} }, { step: 1, tensors }]) {
      const odd = { forward: client.policy.forward, state: async () => state } as unknown as TrainingPolicy;
      const saved = () => new TrainingClient({ policy: odd, device }).saveState(join(folder, "odd"));
      await expectError("USAGE", saved, "state()", "tensors");
    }
    mkdirSync(join(folder, "state"));
    await expectError("USAGE", () => client.saveState(join(folder, "state")), "state", "a folder");
    expect(readdirSync(folder)).toEqual(["state"]);
    await client.saveState(join(folder, "good"));
    const good = readFileSync(join(folder, "good"));
    chmodSync(join(folder, "good"), 0o444);
    await client.saveState(join(folder, "good"));
    expect(readFileSync(join(folder, "good"))).toEqual(good);
    expect(readdirSync(folder).sort()).toEqual(["good", "state"]);
  });
});
