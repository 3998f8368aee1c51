/** A machine with a fake GPU: the environment that makes the addon take the fakes, and their journal. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildFakes } from "./build.js";

/** One call that the fakes were asked for; `call` is the function's name. */
export interface Entry {
  readonly call: string;
  readonly [field: string]: unknown;
}

export interface Launched extends Entry {
  readonly kernel: string;
  readonly grid: number;
  readonly block: number;
  readonly shared: number;
  /** The argument struct, eight bytes a field, as unsigned numbers. */
  readonly arguments: readonly string[];
}

/**
 * Puts a fake library somewhere else, with the given self-description: `"12.0 80 90"` is an NVRTC 12.0 for sm_80 and sm_90, `"12.4.5"` a cuBLAS.
 */
export function installFake(fake: "nvrtc" | "cublas", path: string, about: string): string {
  mkdirSync(dirname(path), { recursive: true });
  copyFileSync(buildFakes()[fake], path);
  writeFileSync(`${path}.about`, `${about}\n`);
  return path;
}

export class FakeMachine {
  readonly #folder = mkdtempSync(join(tmpdir(), "lossc-fake-machine-"));
  readonly #journal = join(this.#folder, "journal");

  /** Before the addon looks for CUDA for the first time. `old`: a driver that has no graphs. */
  constructor({ old = false } = {}) {
    const fakes = buildFakes();
    Object.assign(process.env, {
      LOSSC_LIBCUDA: old ? fakes.oldCuda : fakes.cuda,
      LOSSC_LIBNVRTC: fakes.nvrtc,
      LOSSC_LIBCUBLAS: fakes.cublas,
      LOSSC_FAKE_LOG: this.#journal,
    });
  }

  /** Sets the prelude that the fake NVRTC uses instead of the text's: the emulated target's. */
  set prelude(text: string) {
    delete process.env.LOSSC_FAKE_NVCC;
    const path = join(this.#folder, "prelude.h");
    writeFileSync(path, text);
    process.env.LOSSC_FAKE_PRELUDE = path;
  }

  /** From now on the text is compiled by this `nvcc` as for a GPU, its own prelude included, and the PTX is what runs. */
  set nvcc(path: string) {
    process.env.LOSSC_FAKE_NVCC = path;
  }

  /** `"cuMemAlloc_v2:2:1"`: the first call from now on fails with result 2. */
  failWith(failures: string): void {
    process.env.LOSSC_FAKE_FAIL = failures;
  }

  failNoMore(): void {
    delete process.env.LOSSC_FAKE_FAIL;
  }

  /**
   * The calls since the last time, and the launches among them, without those that were only recorded for a graph. For each launch of PTX, the number
   * of instructions of its lanes.
   */
  take(): {
    readonly entries: readonly Entry[];
    readonly launches: readonly Launched[];
    readonly instructions: readonly number[];
  } {
    if (!existsSync(this.#journal)) return { entries: [], launches: [], instructions: [] };
    const all = readFileSync(this.#journal, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Entry);
    rmSync(this.#journal);
    const entries = all.filter(({ call }) => call !== "ptxExecuted");
    return {
      entries,
      instructions: all.flatMap(({ instructions }) => (instructions === undefined ? [] : [instructions as number])),
      launches: entries.filter((entry): entry is Launched => entry.call === "cuLaunchKernel" && !entry.recorded),
    };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
