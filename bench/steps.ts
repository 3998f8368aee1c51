/** The bench's own kernels: the data, made where it is needed, and the yardstick beside the device's own copy. */
import { TYPES } from "../codegen/emit/dtypes.js";
import type { LogitsDtype } from "../codegen/loss-program.js";
import { LosscError } from "../dsl/errors.js";
import type { Command, Memory, NativeBuffer, NativeDevice } from "../runtime/addon/native.js";
import type { Device, DeviceBuffer, LaunchArgument, LoadedModule } from "../runtime/devices/device.js";
import { bytesOf, makeArray, widen } from "../runtime/devices/dtypes.js";

/** Bytes that a thread of the copy kernel moves. */
const PACKET = 16;
/** Scale of the numbers. Their standard deviation is √⅓ before it, and 1.7 after it. */
export const LOGITS_SCALE = 3;

const copy = `
// to = from, ${PACKET} bytes an element.
struct CopyPackets {
  struct alignas(${PACKET}) Sixteen { unsigned words[4]; };
  struct Args { index n; const Sixteen* from; Sixteen* to; };
  LOSSC_FN static void element(const Args& a, index i) { write(a.to, i, read(a.from, i)); }
};`;

const numbers = (type: string) => `
// Numbers from seed and place alone: the sum of four uniform ones, less its mean, times a float. Nothing but that product is rounded before the
// store, so that who computes the same elsewhere has the same bits (peers/bench_data.py).
struct MakeNumbers {
  struct Args { index n; ${type}* to; index seed; double scale; };
  LOSSC_FN static unsigned mixed(unsigned x) {
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
  }
  LOSSC_FN static void element(const Args& a, index i) {
    const unsigned first = mixed(unsigned(i) + unsigned(a.seed) * 0x9e3779b9u), second = mixed(first + 0x9e3779b9u);
    const unsigned total = (first & 0xffffu) + (first >> 16) + (second & 0xffffu) + (second >> 16);
    store(a.to, i, (float(total) * ${1 / 65536}f - 2.0f) * float(a.scale));
  }
};`;

const pick = (type: string) => `
// to[t] = the logit of token t's target.
struct PickTargets {
  struct Args { index n; const ${type}* logits; const int* targets; float* to; index vocab; };
  LOSSC_FN static void element(const Args& a, index t) { store(a.to, t, load(a.logits, t * a.vocab + load(a.targets, t))); }
};`;

export class BenchSteps {
  private constructor(
    readonly native: NativeDevice,
    private readonly module: LoadedModule,
  ) {}

  /** For logits of one dtype. */
  static async load(device: Device, dtype: LogitsDtype): Promise<BenchSteps> {
    const { native } = device;
    if (!native) throw new LosscError("DEVICE_NOT_FOUND", "the bench needs the addon: see lossc devices");
    const bodies = { copyPackets: copy, makeNumbers: numbers(TYPES[dtype]), pickTargets: pick(TYPES[dtype]) };
    const kernels = Object.entries(bodies).map(([id, body]) => ({ id, body }));
    return new BenchSteps(native, await device.loadModule({ comment: `The bench's data and yardstick, ${dtype}.`, kernels }));
  }

  /** The copy kernel; `bytes` is a multiple of 16. */
  copyByKernel(from: Memory, to: Memory, bytes: number): Command {
    if (bytes % PACKET !== 0) throw new RangeError(`${bytes} bytes are no whole number of packets`);
    return this.#launch("copyPackets", bytes / PACKET, [from, to]);
  }

  /** By default they spread as a trained model's logits do. */
  numbers(to: Memory, length: number, seed: number, scale = LOGITS_SCALE): Command {
    return this.#launch("makeNumbers", length, [to, { index: seed }, { scalar: scale }]);
  }

  pickTargets(of: { logits: Memory; targets: Memory; to: Memory; tokens: number; vocab: number }): Command {
    return this.#launch("pickTargets", of.tokens, [of.logits, of.targets, of.to, { index: of.vocab }]);
  }

  #launch(kernel: string, elements: number, args: readonly LaunchArgument[]): Command {
    return this.module.launch(kernel, elements, [{ index: elements }, ...args]);
  }
}

/** A row of a matrix on a device, as numbers. */
export async function rowOf(native: NativeDevice, matrix: DeviceBuffer, row: number, width: number): Promise<Float64Array> {
  const dtype = matrix.dtype as LogitsDtype;
  const to = makeArray(dtype, width);
  const offset = row * width * bytesOf(dtype);
  await native.run([{ kind: "read", from: matrix.memory as NativeBuffer, offset, to }]);
  return widen(to, dtype);
}

/** The device's own copy: the driver's on a GPU, memcpy by the pool of threads on the CPU. */
export function copyOf(from: Memory, to: Memory, bytes: number): Command {
  return { kind: "copy", from, fromOffset: 0, to, toOffset: 0, bytes };
}
