/** A driver from before there were graphs. */
import { afterAll, expect, test } from "vitest";
import type { Command } from "../../runtime/addon/native.js";
import { options, prelude, text } from "./fake/kernels.js";
import { FakeMachine } from "./fake/machine.js";
import { addon, launch } from "./support.js";

const machine = new FakeMachine({ old: true });
machine.prelude = prelude;
afterAll(() => machine.remove());

test("a driver without graphs runs every program directly", async () => {
  const { binary } = await addon.compileCuda(text, options);
  const device = addon.openCuda({ ordinal: 0 });
  const module = await device.load(binary);
  const buffer = device.allocate(64);
  const scale = launch(module, "scale", [{ pointer: buffer }, { int: 16 }, { float: 2 }], {
    elements: 16,
    block: 32,
    perBlock: 32,
  });
  const to = new Float32Array(16);
  const program: Command[] = [
    { kind: "write", to: buffer, offset: 0, from: new Float32Array(16).fill(1) },
    scale,
    scale,
    { kind: "read", from: buffer, offset: 0, to },
  ];
  for (let i = 0; i < 3; i++) await device.run(program);
  expect([...to]).toEqual(new Array(16).fill(4));
  expect(machine.take().launches.length).toBe(6);
  await device.dispose();
});
