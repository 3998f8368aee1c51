/**
 * An emulated device keeps a stack per lane; a process may only have so many mappings, and cannot wait for the garbage collector to give them back.
 */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { LossDefinition } from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";
import { openDevice } from "../../runtime/index.js";
import { batchOf, inputsFor } from "./batch.js";

const MAPS = "/proc/self/maps";
const mappings = () => readFileSync(MAPS, "utf8").split("\n").length;

test.skipIf(!existsSync(MAPS))("a device that is disposed of gives back the stacks of its lanes", async () => {
  const vocab = 16399;
  const before = mappings();
  for (let i = 0; i < 3; i++) {
    const device = await openDevice("emulated");
    const inputs = inputsFor(ppo, batchOf([2], vocab, "f32", false).inputs());
    await (await device.compile<LossDefinition>(ppo)).forwardBackward(inputs);
    expect(mappings() - before).toBeGreaterThan(512);
    await device.dispose();
    expect(mappings() - before).toBeLessThan(512);
  }
});
