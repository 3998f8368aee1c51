/** What a call costs beyond its kernels, on a batch so small that nothing else is left. */
import { LosscError } from "../dsl/errors.js";
import { ppo } from "../losses/index.js";
import type { Device, DeviceBuffer, LossInputs } from "../runtime/devices/device.js";
import type { Command } from "../runtime/native.js";
import { makeBatch } from "./batch.js";

export interface Overhead {
  /** Median microseconds of a whole `forwardBackward`. */
  readonly call: number;
  /** Median microseconds of its kernels alone, one after the other on the device's thread. */
  readonly kernels: number;
  /** What is left: `call` without `kernels`. */
  readonly beyond: number;
}

const SHAPE = { tokens: 16, vocab: 64, length: 8, losses: [ppo], ceiling: 1, peers: false };
const WARM_UP = 1000;
/** Launches of a call that are made one after the other in one program, so that the hop to the device's thread drops out. */
const REPEATED = 64;

/**
 * Times `calls` calls of `ppo` with 16 tokens × 64 entries, in place, from prepared memory: device buffers where the device has memory of its own, else
 * typed arrays.
 */
export async function overhead(device: Device, calls: number): Promise<Overhead> {
  const { native } = device;
  if (native === null)
    throw new LosscError("DEVICE_NOT_FOUND", "what a call costs is measured with the addon: see lossc devices");
  const compiled = await device.compile(ppo, { vocab: SHAPE.vocab });
  const { inputs, buffers } = await prepared(device);
  const run = () => compiled.forwardBackward(inputs, {}, { inPlace: true });
  const launches = (await listen(native, run)).filter(({ kind }) => kind === "launch");
  const call = await median(run, calls);
  const once = await median(() => native.run(launches), calls);
  const many = await median(() => native.run(new Array<Command[]>(REPEATED).fill(launches).flat()), Math.ceil(calls / 8));
  const kernels = Math.max(0, many - once) / (REPEATED - 1);
  for (const buffer of buffers) buffer.dispose();
  return { call, kernels, beyond: call - kernels };
}

async function prepared(device: Device): Promise<{ readonly inputs: LossInputs; readonly buffers: readonly DeviceBuffer[] }> {
  const { lengths, ...batch } = makeBatch(SHAPE);
  if (device.native?.hostMemory) return { inputs: { lengths, ...batch }, buffers: [] };
  const buffers = await Promise.all(Object.values(batch).map((data) => device.buffer(data)));
  const onDevice = Object.fromEntries(Object.keys(batch).map((name, i) => [name, buffers[i]]));
  return { inputs: { lengths, ...onDevice }, buffers };
}

/** The commands of the last program that a call submits. */
async function listen(native: NonNullable<Device["native"]>, call: () => Promise<unknown>): Promise<readonly Command[]> {
  const heard: Command[] = [];
  const ear: typeof native.run = (program, abort) => {
    heard.splice(0, heard.length, ...program);
    return Object.getPrototypeOf(native).run.call(native, program, abort);
  };
  Object.defineProperty(native, "run", { value: ear, configurable: true });
  try {
    await call();
  } finally {
    Reflect.deleteProperty(native, "run");
  }
  return heard;
}

async function median(run: () => Promise<unknown>, times: number): Promise<number> {
  for (let i = 0; i < Math.min(times, WARM_UP); i++) await run();
  const taken: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = process.hrtime.bigint();
    await run();
    taken.push(Number(process.hrtime.bigint() - start) / 1000);
  }
  return taken.sort((a, b) => a - b)[times >> 1] as number;
}
