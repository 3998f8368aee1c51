import { expect, test } from "vitest";
import { ppo } from "../../losses/index.js";
import { openDevice } from "../../runtime/index.js";
import { eachDevice, expectError, LOGITS, ppoInputs } from "../runtime/support.js";
import { mistakes } from "./support.js";

mistakes("DISPOSED", [
  {
    name: "a buffer",
    call: async ({ ppo, device }) => {
      const logits = await device.buffer(Float32Array.from(LOGITS));
      logits.dispose();
      return ppo.forwardBackward({ ...ppoInputs(), logits });
    },
    says: ["logits", "device.buffer()"],
  },
]);

eachDevice((_, name) => {
  test("DISPOSED: a device, after everything that was asked for before", async () => {
    const device = await openDevice(name);
    const compiled = await device.compile(ppo);
    const buffer = await device.buffer(Float32Array.of(1));
    const running = compiled.forwardBackward(ppoInputs());
    const disposal = device.dispose();
    await expectError("DISPOSED", () => compiled.forwardBackward(ppoInputs()), name, "openDevice()");
    expect((await running).loss).toBeTypeOf("number");
    await Promise.all([disposal, device.dispose()]);
    await expectError("DISPOSED", () => device.compile(ppo));
    await expectError("DISPOSED", () => device.buffer({ dtype: "f32", length: 1 }));
    await expectError("DISPOSED", () => buffer.read());
    await expectError("DISPOSED", () => device.loadModule({ comment: "", kernels: [] }));
    buffer.dispose();
    await using again = await openDevice(name);
    expect((await (await again.compile(ppo)).forwardBackward(ppoInputs())).loss).toBe((await running).loss);
  });
});
