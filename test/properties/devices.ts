/** Devices for these tests. A GPU that is absent is skipped by name; the others must be there, and `cpu` must be `cpu`. */
import { afterAll, beforeAll, describe, expect } from "vitest";
import { loadAddon } from "../../runtime/addon/addon.js";
import type { Device, DeviceOptions } from "../../runtime/devices/device.js";
import { openDevice } from "../../runtime/index.js";

/** Why there is no GPU here; null where there is one. */
function whyNoGpu(): string | null {
  try {
    return (loadAddon().addon?.listCuda().length ?? 0) > 0 ? null : "no GPU";
  } catch (error) {
    return (error as Error).message;
  }
}

/** The suite once per device that runs kernels; each opens its device once. */
export function onDevices(suite: (device: () => Device) => void, names: readonly string[] = ["cpu", "emulated", "cuda:0"]): void {
  for (const name of names) {
    const absent = name.startsWith("cuda") ? whyNoGpu() : null;
    describe.skipIf(absent !== null)(absent === null ? name : `${name} is absent (${absent})`, () => {
      let device: Device;
      beforeAll(async () => {
        device = await opened(name);
      });
      afterAll(() => device?.dispose());
      suite(() => device);
    });
  }
}

export async function opened(name: string, options?: DeviceOptions): Promise<Device> {
  const device = await openDevice(name, options);
  expect(device.name).toBe(name);
  return device;
}
