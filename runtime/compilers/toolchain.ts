/** Toolchains: they compile kernel text into a binary that a device loads. */
import { basename } from "node:path";
import type { KernelText, TargetName } from "../../codegen/emit/index.js";
import { LosscError } from "../../dsl/errors.js";
import type { CacheEntry } from "../cache/index.js";
import { runProgram } from "./process.js";

export interface Toolchain {
  readonly target: TargetName;
  /** For people: which compiler, and where. */
  readonly description: string;
  /** Of the compiled text, from the cache or made now. Rejects with `COMPILE_FAILED`, `COMPILER_NOT_FOUND` or `ABORTED`. */
  compile(text: KernelText, signal?: AbortSignal): Promise<CacheEntry>;
  /** Forgets a binary that does not load, so that the next `compile` makes it anew. */
  discard(entry: CacheEntry): Promise<void>;
}

/** Runs a compiler in the folder of its input. Other files that it leaves there are removed with the folder. */
export async function runCompiler(program: string, args: readonly string[], folder: string, signal: AbortSignal): Promise<void> {
  // The folder's path leads through a descriptor of this process, so that the compiler can only be given names within it.
  const env = { ...process.env, TMPDIR: ".", LC_ALL: "C" };
  const { status, output } = await runProgram(program, args, { cwd: folder, env, signal }).catch((cause: unknown) => {
    if (cause instanceof LosscError) throw cause;
    throw new LosscError("COMPILER_NOT_FOUND", `${program} cannot be started: ${(cause as Error).message}`, { cause });
  });
  if (status === 0) return;
  const how = status === null ? "was killed" : `ended with status ${status}`;
  throw new LosscError("COMPILE_FAILED", `${basename(program)} ${how}: ${firstErrors(output)}.`, { log: output });
}

/** The first lines of a log that say `error`, for a message; the whole log goes into `LosscError.log`. */
export function firstErrors(log: string): string {
  const lines = log.split("\n").filter((line) => /\berror\b/i.test(line));
  return (lines.length > 0 ? lines : log.split("\n")).slice(0, 3).join("\n").trim();
}
