/** CUDA text becomes a cubin: by NVRTC where the addon finds it, else by `nvcc`. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KernelText } from "../../codegen/plan.js";
import { LosscError } from "../../dsl/errors.js";
import { wrapNative } from "../addon.js";
import { type CacheEntry, cacheKey, type KernelCache } from "../cache.js";
import type { NativeAddon } from "../native.js";
import { type Probe, probe } from "./probe.js";
import { findProgram, runProgram } from "./process.js";
import { firstErrors, type Toolchain } from "./toolchain.js";

/** Contraction is off in every compiler: a fused multiply-add is written where it is meant. Division, roots and subnormals stay exact. */
const FLAGS = ["-std=c++17", "-fmad=false"] as const;

/** How to get a compiler for CUDA, for messages. */
export const CUDA_ADVICE =
  "install NVRTC (libnvrtc of the CUDA toolkit, or the pip wheel nvidia-cuda-nvrtc on the library path) or nvcc";

/** Path of `nvcc`: on `$PATH`, in `$CUDA_HOME/bin`, in `/usr/local/cuda/bin`. */
export async function findNvcc(): Promise<string | null> {
  const { CUDA_HOME: home } = process.env;
  for (const name of ["nvcc", ...(home ? [join(home, "bin", "nvcc")] : []), "/usr/local/cuda/bin/nvcc"]) {
    const path = await findProgram(name);
    if (path) return path;
  }
  return null;
}

/** A compiler for `architecture` (`sm_90`). `COMPILER_NOT_FOUND` where there is neither NVRTC nor nvcc. */
export async function openCuda(cache: KernelCache, addon: NativeAddon | null, architecture: string): Promise<Toolchain> {
  const nvrtc = addon?.libraries().nvrtc;
  if (addon && nvrtc?.path !== undefined)
    return new Nvrtc(cache, architecture, addon, `NVRTC ${nvrtc.version ?? "of unknown version"} (${nvrtc.path})`);
  const nvcc = await findNvcc();
  if (nvcc) return new Nvcc(cache, architecture, nvcc);
  const problem = nvrtc ? (nvrtc.problem ?? "libnvrtc is missing") : "needs the addon";
  throw new LosscError(
    "COMPILER_NOT_FOUND",
    `there is no compiler for CUDA (NVRTC: ${problem}; nvcc: not in $PATH, $CUDA_HOME/bin or /usr/local/cuda/bin): ${CUDA_ADVICE}.`,
  );
}

abstract class CudaToolchain implements Toolchain {
  readonly target = "cuda";
  abstract readonly description: string;

  constructor(
    protected readonly cache: KernelCache,
    protected readonly architecture: string,
  ) {}

  protected abstract version(): Promise<string>;
  protected abstract flags(): readonly string[];
  protected abstract build(folder: string, text: string, signal: AbortSignal): Promise<void>;

  async compile(text: KernelText, signal?: AbortSignal): Promise<CacheEntry> {
    const version = await this.version();
    const flags = this.flags();
    return this.cache.get(
      {
        key: cacheKey(["cuda", text.text, this.architecture, version, ...flags]),
        source: { file: "kernel.cu", text: text.text },
        binary: "kernel.cubin",
        about: {
          target: "cuda",
          architecture: this.architecture,
          compiler: this.description,
          version: version.split("\n").at(-1),
          flags,
        },
        build: (folder, abort) => this.build(folder, text.text, abort),
      },
      signal,
    );
  }

  async discard(entry: CacheEntry): Promise<void> {
    await this.cache.discard(entry.key);
  }
}

class Nvrtc extends CudaToolchain {
  constructor(
    cache: KernelCache,
    architecture: string,
    private readonly addon: NativeAddon,
    readonly description: string,
  ) {
    super(cache, architecture);
  }

  protected async version(): Promise<string> {
    return this.description;
  }

  protected flags(): readonly string[] {
    // Of itself NVRTC takes generic lambdas for host code, which nvcc takes to be where the function around them is.
    return [`--gpu-architecture=${this.architecture}`, ...FLAGS, "-default-device"];
  }

  protected async build(folder: string, text: string, signal: AbortSignal): Promise<void> {
    // NVRTC itself cannot be interrupted; whoever waits for it has left already when the signal fires.
    const compiled = await this.addon.compileCuda(text, this.flags()).catch((error: unknown) => {
      const { code, message, log, cause } = wrapNative(error);
      throw new LosscError(code, log ? `${message}: ${firstErrors(log)}.` : message, { cause, log });
    });
    signal.throwIfAborted();
    await writeFile(join(folder, "kernel.cubin"), compiled.binary);
  }
}

class Nvcc extends CudaToolchain {
  readonly description: string;

  constructor(
    cache: KernelCache,
    architecture: string,
    private readonly program: string,
  ) {
    super(cache, architecture);
    this.description = `nvcc (${program})`;
  }

  protected async version(): Promise<string> {
    return (await probe(this.cache, this.program, "nvcc", () => askNvcc(this.program))).version;
  }

  protected flags(): readonly string[] {
    return ["-cubin", `-arch=${this.architecture}`, ...FLAGS, "-w"];
  }

  protected async build(folder: string, _text: string, signal: AbortSignal): Promise<void> {
    const env = { ...process.env, TMPDIR: folder, LC_ALL: "C" };
    const args = [...this.flags(), "-o", join(folder, "kernel.cubin"), join(folder, "kernel.cu")];
    const { status, output } = await runProgram(this.program, args, {
      cwd: folder,
      env,
      signal,
    });
    if (status !== 0) {
      const how = status === null ? "was killed" : `ended with status ${status}`;
      throw new LosscError("COMPILE_FAILED", `nvcc ${how}: ${firstErrors(output)}.`, { log: output });
    }
  }
}

async function askNvcc(program: string): Promise<Probe> {
  try {
    return {
      version: (await runProgram(program, ["--version"])).output.trim(),
      native: [],
    };
  } catch (error) {
    throw new LosscError("COMPILER_NOT_FOUND", `nvcc (${program}) cannot be started: ${CUDA_ADVICE}.`, { cause: error });
  }
}
