/** What turns kernel text into a binary that a device loads. */
import type { KernelText, Target } from "../../codegen/plan.js";
import type { CacheEntry } from "../cache.js";

export interface Toolchain {
  readonly target: Target;
  /** For people: which compiler, and where. */
  readonly description: string;
  /** Of the compiled text, from the cache or made now. Rejects with `COMPILE_FAILED`, `COMPILER_NOT_FOUND` or `ABORTED`. */
  compile(text: KernelText, signal?: AbortSignal): Promise<CacheEntry>;
  /** Forgets a binary that does not load, so that the next `compile` makes it anew. */
  discard(entry: CacheEntry): Promise<void>;
}

/** The first lines of a log that say `error`, for a message; the whole log goes into `LosscError.log`. */
export function firstErrors(log: string): string {
  const lines = log.split("\n").filter((line) => /\berror\b/i.test(line));
  return (lines.length > 0 ? lines : log.split("\n")).slice(0, 3).join("\n").trim();
}
