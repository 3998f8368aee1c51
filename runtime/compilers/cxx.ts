/** The machine's C++ compiler: text for `cpu` and `emulated` becomes a shared object. */
import { type CxxTarget, type KernelText, TARGETS } from "../../codegen/emit/index.js";
import { LosscError } from "../../dsl/errors.js";
import { type CacheEntry, cacheKey, type KernelCache } from "../cache/index.js";
import { type Probe, probe } from "./probe.js";
import { findProgram, runProgram } from "./process.js";
import { runCompiler, type Toolchain } from "./toolchain.js";

/** Names that are tried after `$CXX`. */
const NAMES = ["c++", "g++", "clang++"] as const;

/** How to get a C++ compiler, for messages. */
export const CXX_ADVICE = "install one (Debian, Ubuntu: `apt-get install g++`) or name one in $CXX";

/**
 * Path of the C++ compiler: the first of `$CXX`, `c++`, `g++`, `clang++` that is there. `$CXX` is one program, no flags (those go into
 * `$LOSSC_CXXFLAGS`).
 */
export async function findCxx(): Promise<string | null> {
  for (const name of [process.env.CXX, ...NAMES]) {
    const path = name ? await findProgram(name) : null;
    if (path) return path;
  }
  return null;
}

/**
 * The C++ compiler for a target. `features` names the processor's features that `-march=native` resolves to. `COMPILER_NOT_FOUND` where there is
 * none.
 */
export async function openCxx(cache: KernelCache, target: CxxTarget, features: string): Promise<Toolchain> {
  const program = await findCxx();
  if (!program) {
    throw new LosscError("COMPILER_NOT_FOUND", `there is no C++ compiler (looked for $CXX, ${NAMES.join(", ")}): ${CXX_ADVICE}.`);
  }
  return new CxxToolchain(cache, target, program, features);
}

class CxxToolchain implements Toolchain {
  readonly description: string;

  constructor(
    private readonly cache: KernelCache,
    readonly target: CxxTarget,
    private readonly program: string,
    private readonly features: string,
  ) {
    this.description = `C++ compiler ${program}`;
  }

  async compile(text: KernelText, signal?: AbortSignal): Promise<CacheEntry> {
    const about = await probe(this.cache, this.program, "c++", () => askCxx(this.program));
    const { source, binary, optimise, flags: own } = TARGETS[this.target].compiler;
    const flags = [text.long ? optimise.long : optimise.usual, ...about.native, ...own, ...extraFlags()];
    return this.cache.get(
      {
        key: cacheKey([this.target, text.text, process.arch, this.features, this.program, about.version, ...flags]),
        source: { file: source, text: text.text },
        binary,
        about: {
          target: this.target,
          compiler: this.program,
          version: about.version.split("\n")[0],
          flags,
          features: this.features,
        },
        build: (folder, abort) => this.build(folder, flags, abort),
      },
      signal,
    );
  }

  async discard(entry: CacheEntry): Promise<void> {
    await this.cache.discard(entry.key);
  }

  private async build(folder: string, flags: readonly string[], signal: AbortSignal): Promise<void> {
    const { source, binary } = TARGETS[this.target].compiler;
    await runCompiler(this.program, [...flags, "-o", binary, source], folder, signal);
  }
}

/** `$LOSSC_CXXFLAGS`: flags to add, separated by blanks, for sanitizers and debuggers. They are part of the key. */
function extraFlags(): string[] {
  return (process.env.LOSSC_CXXFLAGS ?? "").split(/\s+/).filter((flag) => flag !== "");
}

async function askCxx(program: string): Promise<Probe> {
  const env = { ...process.env, LC_ALL: "C" };
  let version: string;
  try {
    version = (await runProgram(program, ["--version"], { env })).output;
  } catch (error) {
    throw new LosscError("COMPILER_NOT_FOUND", `the C++ compiler ${program} cannot be started: ${CXX_ADVICE}.`, { cause: error });
  }
  for (const native of [["-march=native"], ["-mcpu=native"]]) {
    const { status } = await runProgram(program, [...native, "-x", "c++", "-fsyntax-only", "/dev/null"], { env });
    if (status === 0) return { version, native };
  }
  return { version, native: [] };
}
