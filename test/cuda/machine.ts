/** The fake GPU for tests of the runtime on it: its own cache, real kernel texts, and launches read back against the plan. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, onTestFinished } from "vitest";
import { type KernelText, preludeText } from "../../codegen/emit/index.js";
import type { Plan } from "../../codegen/loss-plan.js";
import type { Device } from "../../runtime/devices/device.js";
import { openDevice } from "../../runtime/index.js";
import { FakeMachine, type Launched } from "../native/fake/machine.js";

/** To be called before the first device of the process is opened. Binaries of the fake have no place in a cache that a GPU will read. */
export function fakeMachine(): FakeMachine {
  const machine = new FakeMachine();
  machine.prelude = preludeText("emulated");
  const cache = mkdtempSync(join(tmpdir(), "lossc-fake-cache-"));
  process.env.LOSSC_CACHE_DIR = cache;
  afterEach(() => machine.failNoMore());
  afterAll(() => {
    machine.remove();
    rmSync(cache, { recursive: true, force: true });
  });
  return machine;
}

/** `cuda:0` for one test. */
export async function openFake(): Promise<Device> {
  const device = await openDevice("cuda:0");
  onTestFinished(() => device.dispose());
  expect(device.description).toMatch(/Fake GPU/);
  return device;
}

/** Device memory of the fake; the host cannot read there. */
const isAddress = (field: bigint) => field >> 48n === 0x0deen;

/** Counts and scalars of one call, as the plan's arguments name them. */
export interface Sizes {
  readonly token: number;
  readonly sequence: number;
  readonly vocab: number;
  readonly config: Readonly<Record<string, number>>;
  readonly skipMasked: boolean;
  /** Inputs that the caller left out: their fields are null pointers. */
  readonly missing: readonly string[];
}

/** Each launch has the grid of its elements, and a struct whose fields are what the plan says, in its order, eight bytes each. */
export function expectLaunches(launches: readonly Launched[], plan: Plan, text: KernelText, sizes: Sizes): void {
  expect(launches.map(({ kernel }) => kernel)).toEqual(plan.kernels.map(({ id }) => id));
  const elements = { token: sizes.token, sequence: sizes.sequence, group: 0, entry: sizes.vocab, batch: 1 };
  const addresses = new Map<number, bigint>();
  launches.forEach((launch, i) => {
    const kernel = plan.kernels[i] as Plan["kernels"][number];
    const shape = text.launches.find((entry) => entry.kernel === kernel.id) as KernelText["launches"][number];
    expect(launch.grid).toBe(Math.ceil(elements[kernel.space] / shape.perBlock) * shape.cluster);
    expect(launch.shared).toBe(shape.shared);
    expect(launch.block).toBe(shape.block);
    expect(launch.arguments.length).toBe(kernel.arguments.length);
    kernel.arguments.forEach((argument, field) => {
      const value = BigInt(launch.arguments[field] as string);
      const what = `${kernel.id}, field ${field}, ${JSON.stringify(argument)}`;
      switch (argument.kind) {
        case "size":
          expect(value, what).toBe(BigInt(argument.of === "vocab" ? sizes.vocab : elements[argument.of]));
          break;
        case "skipMasked":
          expect(value, what).toBe(sizes.skipMasked ? 1n : 0n);
          break;
        case "config":
          expect(new Float64Array(new BigUint64Array([value]).buffer)[0], what).toBe(sizes.config[argument.name]);
          break;
        case "buffer": {
          const buffer = plan.buffers[argument.buffer] as Plan["buffers"][number];
          if (sizes.missing.includes(buffer.name)) expect(value, what).toBe(0n);
          else {
            expect(isAddress(value), what).toBe(true);
            // Sixteen-byte loads and stores want their rows so; everything else is cut in pieces that are aligned better.
            expect(value % 256n, what).toBe(0n);
            const before = addresses.get(buffer.id);
            if (before !== undefined) expect(value, what).toBe(before);
            addresses.set(buffer.id, value);
          }
        }
      }
    });
  });
}

export function addressOf(launch: Launched, plan: Plan, buffer: number): string | undefined {
  const kernel = plan.kernels.find(({ id }) => id === launch.kernel);
  const field = kernel?.arguments.findIndex((argument) => argument.kind === "buffer" && argument.buffer === buffer);
  return field === undefined ? undefined : launch.arguments[field];
}
