/** Emulated devices whose kernel text was mutated on its way to the compiler. */
import { expect, onTestFinished } from "vitest";
import { requireAddon } from "../../runtime/addon/addon.js";
import { defaultCache } from "../../runtime/cache/index.js";
import { openCxx, type Toolchain } from "../../runtime/compilers/index.js";
import type { Device } from "../../runtime/devices/device.js";
import { AddonDevice } from "../../runtime/devices/native-device.js";

export type Order = "forward" | "reverse" | number;
export const ORDERS: readonly Order[] = ["forward", "reverse", 1, 2, 3, 20261123];

/** A change of the text: what stands there once, and what is put in its place. */
export interface Mistake {
  readonly from: string;
  readonly to: string;
}

function mutated(text: string, { from, to }: Mistake): string {
  expect(text.split(from).length - 1, `times that the text holds ${JSON.stringify(from)}`).toBe(1);
  return text.replace(from, () => to);
}

/** An emulated device for one test; its kernels are as they should be where there is no mistake. */
export async function openMutated(order: Order, mistake: Mistake | null, races = false): Promise<Device> {
  const addon = requireAddon("the test");
  const toolchain = await openCxx(defaultCache(), "emulated", addon.cpuFeatures());
  const mistaken: Toolchain = {
    target: "emulated",
    description: "a C++ compiler that is given mistakes",
    compile: (text, signal) => toolchain.compile(mistake ? { ...text, text: mutated(text.text, mistake) } : text, signal),
    discard: (entry) => toolchain.discard(entry),
  };
  const device = new AddonDevice(
    "emulated",
    addon.openEmulated({ order, races }),
    "a device with mistakes",
    async () => mistaken,
  );
  onTestFinished(() => device.dispose());
  return device;
}
