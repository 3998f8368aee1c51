/**
 * Versions of compilers. Each is asked once per machine, and its answer is kept in the cache folder under the compiler's path, time and size: a
 * process whose kernels are all cached starts no compiler.
 */
import { realpathSync, statSync } from "node:fs";
import { LosscError } from "../../dsl/errors.js";
import { cacheKey, type KernelCache } from "../cache/index.js";

export interface Probe {
  /** The whole of what the compiler prints for `--version`. */
  readonly version: string;
  /** Flags that make it compile for the processor it runs on; it may know none. */
  readonly native: readonly string[];
}

const probes = new Map<string, Promise<Probe>>();

/** The kept answer, else what `ask` finds out. `salt` separates questions. `COMPILER_NOT_FOUND` where the program is gone, and what `ask` throws. */
export async function probe(cache: KernelCache, program: string, salt: string, ask: () => Promise<Probe>): Promise<Probe> {
  const key = cacheKey(["probe", salt, ...identityOf(program)]);
  let found = probes.get(key);
  if (!found) {
    found = load(cache, key, program, ask);
    probes.set(key, found);
    // A failure is not remembered: the compiler may be repaired while the process runs.
    found.catch(() => probes.delete(key));
  }
  return found;
}

/** Identity of a program file: it changes when the file is replaced. */
function identityOf(program: string): string[] {
  try {
    const path = realpathSync(program);
    const { mtimeMs, size } = statSync(path);
    return [program, path, String(mtimeMs), String(size)];
  } catch (cause) {
    const problem = `the compiler ${program} is no longer there: install it again, or open the device anew to have another looked for`;
    throw new LosscError("COMPILER_NOT_FOUND", problem, { cause });
  }
}

async function load(cache: KernelCache, key: string, program: string, ask: () => Promise<Probe>): Promise<Probe> {
  try {
    const kept = JSON.parse(cache.recall(key) ?? "null") as Probe;
    if (typeof kept.version === "string" && Array.isArray(kept.native) && kept.native.every((flag) => typeof flag === "string"))
      return kept;
  } catch {
    // Not asked yet, or damaged: ask.
  }
  const answer = await ask();
  cache.remember(key, JSON.stringify({ program, ...answer }));
  return answer;
}
