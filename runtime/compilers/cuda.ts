/** CUDA text becomes a cubin: by NVRTC where the addon finds one that knows the GPU, else by `nvcc`. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type KernelText, TARGETS } from "../../codegen/emit/index.js";
import { LosscError } from "../../dsl/errors.js";
import { wrapNative } from "../addon/addon.js";
import type { NativeAddon, NvrtcReport } from "../addon/native.js";
import { fitting } from "../ahead/shipped.js";
import { type CacheEntry, cacheKey, type KernelCache } from "../cache/index.js";
import { type Probe, probe } from "./probe.js";
import { findProgram, runProgram } from "./process.js";
import { firstErrors, runCompiler, type Toolchain } from "./toolchain.js";

const { flags: FLAGS, source: SOURCE, binary: BINARY } = TARGETS.cuda.compiler;

/** How to get a compiler for CUDA, for messages. */
export const CUDA_ADVICE =
  "install NVRTC (libnvrtc of the CUDA toolkit, or the pip wheel nvidia-cuda-nvrtc on the library path) or nvcc, of CUDA 12.0 or newer";

/** Paths of every `nvcc`: the program that `$LOSSC_NVCC` names, or else those on `$PATH`, in `$CUDA_HOME/bin`, in `/usr/local/cuda/bin`. */
async function findNvccs(): Promise<string[]> {
  const { LOSSC_NVCC: named, CUDA_HOME: home } = process.env;
  const places = ["nvcc", ...(home ? [join(home, "bin", "nvcc")] : []), "/usr/local/cuda/bin/nvcc"];
  const paths = await Promise.all((named ? [named] : places).map(findProgram));
  return paths.filter((path) => path !== null);
}

/** Path of the first `nvcc` that exists, of any version. */
export async function findNvcc(): Promise<string | null> {
  return (await findNvccs())[0] ?? null;
}

/** An `nvcc` whose cubins the driver loads, where there is a driver, or why there is none. */
export async function findFittingNvcc(
  cache: KernelCache,
  addon: NativeAddon | null,
): Promise<{ readonly path: string } | { readonly path: null; readonly problem: string }> {
  const driver = addon?.libraries().cuda.version;
  let problem: string | undefined;
  for (const path of await findNvccs()) {
    const reason = await misfitOf(cache, path, driver);
    if (reason === null) return { path };
    problem ??= reason;
  }
  const { LOSSC_NVCC: named } = process.env;
  const absent = named ? `$LOSSC_NVCC is ${named}, no program` : "not in $PATH, $CUDA_HOME/bin or /usr/local/cuda/bin";
  return { path: null, problem: problem ?? absent };
}

/** Why an `nvcc` is not taken; null where it is. An unknown release is accepted. */
async function misfitOf(cache: KernelCache, path: string, driver: string | undefined): Promise<string | null> {
  let version: string;
  try {
    version = await versionOfNvcc(cache, path);
  } catch (error) {
    if (error instanceof LosscError) return error.message;
    throw error;
  }
  const release = /\brelease (\d+\.\d+)/.exec(version)?.[1];
  if (release === undefined) return null;
  if (major(release) < OLDEST) return `${path} is of CUDA ${release}, and ${OLDEST}.0 or newer is needed`;
  if (driver !== undefined && major(release) > major(driver))
    return `${path} is of CUDA ${release}, too new for the driver, which is of CUDA ${driver}`;
  return null;
}

/** Major version of CUDA that has the barriers of clusters. */
const OLDEST = 12;

const major = (version: string) => Number.parseInt(version, 10);

/** The architecture that NVRTC compiles for, so that its binaries run on `wanted`, or the reason why there is none. */
function targetOfNvrtc(
  nvrtc: NvrtcReport | undefined,
  wanted: string,
): { readonly target: string } | { readonly misfit: string } {
  if (nvrtc === undefined) return { misfit: "needs the addon" };
  const { path, version, problem = "libnvrtc is missing", architectures = [] } = nvrtc;
  if (path === undefined) return { misfit: problem };
  // The letter of `sm_90a` names what the same GPU has besides.
  const target = architectures.includes(wanted.replace(/[a-z]$/, "")) ? wanted : fitting(wanted, architectures);
  return target ? { target } : { misfit: `${path} is NVRTC ${version}, which does not know ${wanted}` };
}

/**
 * A compiler for `architecture` (`sm_90`): NVRTC where it knows the architecture or an older one of its generation, else nvcc. `COMPILER_NOT_FOUND`
 * where neither is there and fits.
 */
export async function openCuda(cache: KernelCache, addon: NativeAddon | null, architecture: string): Promise<Toolchain> {
  const libraries = addon?.libraries();
  const nvrtc = libraries?.nvrtc;
  const found = targetOfNvrtc(nvrtc, architecture);
  if (addon && nvrtc && "target" in found)
    return new Nvrtc(cache, found.target, addon, `NVRTC ${nvrtc.version ?? "of unknown version"} (${nvrtc.path})`);
  const nvcc = await findFittingNvcc(cache, addon);
  if (nvcc.path !== null) return new Nvcc(cache, architecture, nvcc.path);
  const driver = libraries?.cuda.version;
  const most = driver === undefined ? "" : ` and is of CUDA ${major(driver)} at most, or a newer driver`;
  throw new LosscError(
    "COMPILER_NOT_FOUND",
    `there is no compiler for CUDA (NVRTC: ${"misfit" in found ? found.misfit : "fits"}; nvcc: ${nvcc.problem}): ${CUDA_ADVICE}, one that knows ${architecture}${most}.`,
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
        source: { file: SOURCE, text: text.text },
        binary: BINARY,
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
    await writeFile(join(folder, BINARY), compiled.binary);
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
    return versionOfNvcc(this.cache, this.program);
  }

  protected flags(): readonly string[] {
    return ["-cubin", `-arch=${this.architecture}`, ...FLAGS, "-w"];
  }

  protected async build(folder: string, _text: string, signal: AbortSignal): Promise<void> {
    await runCompiler(this.program, [...this.flags(), "-o", BINARY, SOURCE], folder, signal);
  }
}

async function versionOfNvcc(cache: KernelCache, program: string): Promise<string> {
  return (await probe(cache, program, "nvcc", () => askNvcc(program))).version;
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
