import { expect, test } from "vitest";
import { overhead } from "../../bench/overhead.js";
import { cross_entropy } from "../../losses/index.js";
import { crossEntropyInputs, openOnly } from "../runtime/support.js";

test.each(["cpu", "emulated"])("says what a call takes with its kernels and without, on %s", async (name) => {
  const device = await openOnly(name);
  const { call, kernels, beyond } = await overhead(device, 20);
  expect(kernels).toBeGreaterThanOrEqual(0);
  expect(call).toBeGreaterThan(0);
  expect(beyond).toBe(call - kernels);
  // It has listened to a call of the addon's, and listens no more.
  expect(Object.hasOwn(device.native as object, "run")).toBe(false);
  const compiled = await device.compile(cross_entropy);
  expect((await compiled.forwardBackward(crossEntropyInputs())).loss).toBeGreaterThan(0);
});

test("reference, which has no addon, is told apart", async () => {
  await expect(overhead(await openOnly("reference"), 20)).rejects.toMatchObject({ code: "DEVICE_NOT_FOUND" });
});
