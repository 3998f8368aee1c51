import { expect, test } from "vitest";
import { openDevice } from "../../runtime/index.js";
import { expectError, openOnly, whyNoGpu } from "../runtime/support.js";
import { mistakes } from "./support.js";

mistakes("DEVICE_NOT_FOUND", [
  { name: "a name of nothing", call: () => openDevice("tpu"), says: ['"tpu"', "cuda, cuda:N, cpu, emulated and reference"] },
  { name: "a misspelt name", call: () => openDevice("emulatd"), says: ['did you mean "emulated"?'] },
  { name: "a GPU number that is none", call: () => openDevice("cuda:x"), says: ['"cuda:x"'] },
  { name: "no name but something else", call: () => openDevice(0 as unknown as string), says: ["0"] },
  {
    name: "step kernels where there are no kernels",
    call: ({ device }) => device.loadModule({ comment: "", kernels: [] }),
    says: ["reference", "cpu"],
    devices: ["reference"],
  },
]);

const there = whyNoGpu() === null ? " (skipped: there is a GPU)" : "";
test.skipIf(there !== "")(`DEVICE_NOT_FOUND: cuda without a GPU says what is missing${there}`, async () => {
  await expectError("DEVICE_NOT_FOUND", () => openDevice("cuda"), "libcuda");
  expect((await openOnly("cpu")).name).toBe("cpu");
});
