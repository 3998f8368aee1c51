import { expect, test } from "vitest";
import { ppo } from "../../losses/index.js";
import { openDevice } from "../../runtime/index.js";
import { expectError, openOnly, ppoInputs, temporaryFolder, withEnvironment } from "../runtime/support.js";

test("COMPILER_NOT_FOUND: emulated without a C++ compiler; with one it works", async () => {
  const { PATH } = process.env;
  withEnvironment({ PATH: temporaryFolder(), CXX: undefined });
  await expectError("COMPILER_NOT_FOUND", () => openDevice("emulated"), "C++ compiler", "apt-get install g++", "$CXX");
  process.env.PATH = PATH;
  const device = await openOnly("emulated");
  expect((await (await device.compile(ppo)).forwardBackward(ppoInputs())).launches).toBe(1);
});
