/** Opening devices by name, and saying what is missing where one cannot be had. */
import { LosscError } from "../../dsl/errors.js";
import { nearest } from "../../dsl/nearest.js";
import { loadAddon, requireAddon, wrapNative } from "../addon/addon.js";
import type { CudaDescription, NativeAddon, NativeDevice } from "../addon/native.js";
import { shipsFor } from "../ahead/shipped.js";
import { defaultCache } from "../cache/index.js";
import { refuseUnknown } from "../compiled/call.js";
import { CXX_ADVICE, findCxx, openCuda, openCxx, type Toolchain } from "../compilers/index.js";
import { describe } from "../inputs/numbers.js";
import type { Device, DeviceOptions } from "./device.js";
import { AddonDevice } from "./native-device.js";
import { ReferenceDevice } from "./reference-device.js";
import { warnOnce } from "./warnings.js";

const NAMES = ["cuda", "cuda:0", "cpu", "emulated", "reference"] as const;

/**
 * Opens a device: `"cuda:N"` (`"cuda"` is `"cuda:0"`), `"cpu"`, `"emulated"` or `"reference"`; without a name the first GPU where there is one that
 * kernels can be compiled for, else the CPU.
 *
 * Where the CPU cannot be had for want of the addon or of a C++ compiler, the device is `reference`, float64 and slow, and one line on stderr
 * says what is missing.
 *
 * @throws LosscError `DEVICE_NOT_FOUND` with what is missing, `COMPILER_NOT_FOUND` for `emulated`, `USAGE` for bad options.
 */
export async function openDevice(name?: string, options: DeviceOptions = {}): Promise<Device> {
  checkOptions(options);
  if (name === undefined) return (await openFirstGpu()) ?? openCpu(options);
  if (name === "cpu") return openCpu(options);
  if (name === "reference") return new ReferenceDevice();
  if (name === "emulated") return openEmulated(options);
  const gpu = typeof name === "string" ? /^cuda(?::(0|[1-9]\d{0,3}))?$/.exec(name) : null;
  if (gpu) return openGpu(Number(gpu[1] ?? 0));
  const hint = typeof name === "string" ? nearest(name, NAMES) : "";
  throw new LosscError(
    "DEVICE_NOT_FOUND",
    `there is no device ${describe(name)}${hint}; devices are cuda, cuda:N, cpu, emulated and reference`,
  );
}

function checkOptions(options: DeviceOptions): void {
  refuseUnknown("openDevice", options, ["threads", "order"]);
  const { threads, order } = options;
  if (threads !== undefined && (!Number.isSafeInteger(threads) || threads < 1)) {
    throw new LosscError("USAGE", `the option threads is ${describe(threads)}; it is a whole number ≥ 1`);
  }
  if (order !== undefined && order !== "forward" && order !== "reverse" && !(Number.isSafeInteger(order) && order >= 0)) {
    throw new LosscError(
      "USAGE",
      `the option order is ${describe(order)}; it is "forward", "reverse" or a seed, a whole number ≥ 0`,
    );
  }
}

async function openCpu({ threads = 0 }: DeviceOptions): Promise<Device> {
  const { addon, reason } = loadAddon();
  const compiler = await findCxx();
  // Binaries that were built ahead of time need no compiler.
  const missing = addon ? (compiler || shipsFor("cpu") ? null : `there is no C++ compiler: ${CXX_ADVICE}`) : reason;
  if (!addon || missing) {
    warnOnce(`the device cpu falls back to reference (float64 JavaScript, slow), because ${missing}`);
    return new ReferenceDevice();
  }
  const native = open(() => addon.openCpu({ threads }));
  const toolchain = memoised(() => openCxx(defaultCache(), "cpu", addon.cpuFeatures()));
  const how = compiler ? (await toolchain()).description : "no C++ compiler, only what lossc build made";
  const description = `${native.name}, ${native.architecture}, ${native.threads} ${native.threads === 1 ? "thread" : "threads"}; ${how}`;
  return new AddonDevice("cpu", native, description, toolchain);
}

async function openEmulated({ order = "forward" }: DeviceOptions): Promise<Device> {
  const addon = requireAddon("the device emulated");
  const toolchain = await openCxx(defaultCache(), "emulated", addon.cpuFeatures());
  const native = open(() => addon.openEmulated({ order }));
  return new AddonDevice(
    "emulated",
    native,
    `the geometry of a GPU, lane by lane on the processor, for tests; ${toolchain.description}`,
    async () => toolchain,
  );
}

async function openGpu(ordinal: number): Promise<Device> {
  const name = `cuda:${ordinal}`;
  const addon = requireAddon(`the device ${name}`);
  const native = open(() => addon.openCuda({ ordinal }));
  return new AddonDevice(
    name,
    native,
    `${native.name}, ${native.architecture}`,
    memoised(() => openCuda(defaultCache(), addon, native.architecture)),
  );
}

/** `cuda:0`, or null where there is no GPU, or none that anything could be compiled for. */
async function openFirstGpu(): Promise<Device | null> {
  const { addon } = loadAddon();
  const gpu = addon ? firstGpu(addon) : undefined;
  if (!gpu) return null;
  if (!shipsFor("cuda")) {
    const problem = await openCuda(defaultCache(), addon, gpu.architecture).then(() => null, compilerNotFound);
    if (problem !== null) {
      warnOnce(`there is a GPU, but the device is cpu, because ${problem}`);
      return null;
    }
  }
  return openGpu(0);
}

/** The message of a `COMPILER_NOT_FOUND`. */
function compilerNotFound(error: unknown): string {
  if (error instanceof LosscError && error.code === "COMPILER_NOT_FOUND") return error.message;
  throw error;
}

function firstGpu(addon: NativeAddon): CudaDescription | undefined {
  try {
    return addon.listCuda()[0];
  } catch {
    // No driver: an ordinary machine. openDevice("cuda") says what is missing.
    return undefined;
  }
}

function open(how: () => NativeDevice): NativeDevice {
  try {
    return how();
  } catch (error) {
    throw wrapNative(error);
  }
}

/** One toolchain per device; a failure is not kept, so that a compiler installed meanwhile is found. */
function memoised(make: () => Promise<Toolchain>): () => Promise<Toolchain> {
  let made: Promise<Toolchain> | null = null;
  return () => {
    if (!made) {
      made = make();
      made.catch(() => {
        made = null;
      });
    }
    return made;
  };
}
