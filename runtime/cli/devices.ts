/** `lossc devices`: every device, the tools and libraries that were found for it, and advice where one is missing. */
import { cpus } from "node:os";
import { loadAddon } from "../addon/addon.js";
import type { CudaDescription, LibraryReport, NativeAddon } from "../addon/native.js";
import { defaultCache, type KernelCache } from "../cache/index.js";
import { CUDA_ADVICE, CXX_ADVICE, findCxx, findFittingNvcc, openCuda } from "../compilers/index.js";
import { table, write, writeJson } from "./stream.js";

interface DeviceRow {
  readonly device: string;
  readonly available: boolean;
  /** The hardware, or the missing part. */
  readonly description: string;
}

/** A tool or library that devices use: where it was found, or the problem with advice. */
interface PartRow {
  readonly part: string;
  readonly found: boolean;
  readonly description: string;
  readonly advice?: string;
}

export interface DevicesReport {
  readonly devices: readonly DeviceRow[];
  readonly parts: readonly PartRow[];
}

/** The devices of this machine. None is opened. */
export async function findDevices(): Promise<DevicesReport> {
  const { addon, path, problem, advice } = loadAddon();
  const cxx = await findCxx();
  const nvcc = await findFittingNvcc(defaultCache(), addon);
  const libraries = addon?.libraries();
  const parts: PartRow[] = [
    part("addon", addon ? path : null, problem, advice),
    part("C++ compiler", cxx, "none of $CXX, c++, g++, clang++", CXX_ADVICE),
    library(
      "CUDA driver",
      libraries?.cuda,
      "on a machine with an NVIDIA GPU install its driver (Debian: nvidia-driver, Ubuntu: `ubuntu-drivers install`)",
    ),
    library("NVRTC", libraries?.nvrtc, nvcc.path ? "nvcc is used in its place, more slowly" : CUDA_ADVICE),
    part(
      "nvcc",
      nvcc.path,
      nvcc.path === null ? nvcc.problem : "",
      "only needed where NVRTC is missing or does not know the GPU",
    ),
    library("cuBLAS", libraries?.cublas, "only needed to train on a GPU: install libcublas of the CUDA toolkit"),
    library(
      "OpenBLAS",
      libraries?.openblas,
      "only needed to train on the CPU (Debian, Ubuntu: `apt-get install libopenblas0-pthread`)",
    ),
    cachePart(defaultCache().describe()),
  ];
  const host = `${cpus()[0]?.model ?? process.arch}, ${cpus().length} threads`;
  const missing = [addon ? "" : "the addon", cxx ? "" : "a C++ compiler"].filter((name) => name !== "").join(" and ");
  const devices: DeviceRow[] = [
    ...(await cudaRows(addon)),
    {
      device: "cpu",
      available: missing === "",
      description: missing === "" ? host : `needs ${missing}; until then "cpu" means reference`,
    },
    {
      device: "emulated",
      available: missing === "",
      description: missing === "" ? "CUDA's blocks and threads on the CPU, for tests" : `needs ${missing}`,
    },
    { device: "reference", available: true, description: "float64 in plain JavaScript, the oracle" },
  ];
  return { devices, parts };
}

async function cudaRows(addon: NativeAddon | null): Promise<DeviceRow[]> {
  if (addon === null) return [{ device: "cuda", available: false, description: "needs the addon" }];
  let found: readonly CudaDescription[];
  try {
    found = addon.listCuda();
  } catch (error) {
    return [{ device: "cuda", available: false, description: (error as Error).message }];
  }
  return Promise.all(
    found.map(async ({ ordinal, name, architecture, memoryBytes }) => {
      const problem = await openCuda(defaultCache(), addon, architecture).then(
        () => null,
        (error: Error) => error.message,
      );
      const description = `${name}, ${architecture}, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB`;
      return {
        device: `cuda:${ordinal}`,
        available: problem === null,
        description: problem === null ? description : `${description}; ${problem}`,
      };
    }),
  );
}

function part(name: string, path: string | null, problem: string, advice: string): PartRow {
  return path === null
    ? { part: name, found: false, description: problem, advice }
    : { part: name, found: true, description: path };
}

function cachePart(found: ReturnType<KernelCache["describe"]>): PartRow {
  const advice = "kernels are compiled anew in every process: set LOSSC_CACHE_DIR to a folder of yours";
  return "path" in found ? part("cache folder", found.path, "", "") : part("cache folder", null, found.problem, advice);
}

function library(name: string, report: LibraryReport | undefined, advice: string): PartRow {
  if (report?.path === undefined) return part(name, null, report?.problem ?? "cannot be looked for without the addon", advice);
  return part(name, report.version === undefined ? report.path : `${report.path} (${report.version})`, "", "");
}

export async function devices(options: { readonly json?: true }): Promise<void> {
  const report = await findDevices();
  if (options.json) {
    await writeJson(report);
    return write("\n");
  }
  const deviceLines = report.devices.map(({ device, available, description }) => [
    device,
    available ? "ready" : "not here",
    description,
  ]);
  const partLines = report.parts.map(({ part, found, description, advice }) => [
    part,
    found ? "found" : "missing",
    advice ? `${description}\n${advice}` : description,
  ]);
  await write(`devices\n${table(deviceLines)}\nwhat they use\n${table(partLines)}`);
}
