/** The cache of binaries on disk: the choice of its folder, also where a folder is refused, full or removed. */
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { LosscError } from "../../dsl/errors.js";
import { warnOnce } from "../devices/warnings.js";
import type { OwnFolder } from "../files/own-folder.js";
import { SharedTask } from "../tasks/abort.js";
import { buildEntry, type CacheRequest, findEntry, moveAside, sweep, writeWhole } from "./entries.js";
import type { CacheEntry } from "./entry.js";
import { cacheRoot, openKernels, openTemporary } from "./place.js";
import { storageProblem } from "./problems.js";

/** Time after which a folder that could not be written is tried again. */
const RETRY_MS = 60 * 1000;

/** SHA-256 over the parts and their lengths, so that lists with equal concatenations differ. */
export function cacheKey(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

const caches = new Map<string | null, KernelCache>();

/** The cache of {@link cacheRoot}, one object per folder and process. */
export function defaultCache(): KernelCache {
  const root = cacheRoot();
  let cache = caches.get(root);
  if (!cache) {
    cache = new KernelCache(root);
    caches.set(root, cache);
  }
  return cache;
}

export class KernelCache {
  readonly #inFlight = new Map<string, SharedTask<CacheEntry>>();
  /** Shared with other processes of this user. */
  #kept: OwnFolder | null = null;
  /** A folder for this process, used while the shared one is refused or full. */
  #temporary: OwnFolder | null = null;
  /** The reason why the shared folder is not used for building, and the time until which. */
  #refusal: { readonly problem: string; readonly until: number } | null = null;
  /** Keys of entries that do not work here and could not be removed. */
  readonly #useless = new Set<string>();
  #swept = false;

  /** `root` is the folder that the user names; see {@link cacheRoot}. */
  constructor(readonly root: string | null) {}

  /** The folder of kernels, or the reason why there is none. */
  describe(): { readonly path: string } | { readonly problem: string } {
    try {
      return { path: this.#keep().path };
    } catch (error) {
      return { problem: storageProblem(error) ?? String(error) };
    }
  }

  /**
   * The binary of a key: found, or built. Callers of one process that ask for the same key share one compiler run, which is ended when all of
   * them have been aborted.
   *
   * @throws LosscError `COMPILE_FAILED` for a text that does not compile, and where no folder takes the compiler's files; `ABORTED`; what `build`
   *   throws.
   */
  async get(request: CacheRequest, signal?: AbortSignal): Promise<CacheEntry> {
    let shared = this.#inFlight.get(request.key);
    if (!shared || shared.abandoned) {
      const made: SharedTask<CacheEntry> = new SharedTask((abort) => this.#findOrBuild(request, abort));
      const forget = () => {
        if (this.#inFlight.get(request.key) === made) this.#inFlight.delete(request.key);
      };
      made.promise.then(forget, forget);
      this.#inFlight.set(request.key, made);
      shared = made;
    }
    return shared.wait(signal, "The compilation");
  }

  /** Removes an entry, for example one that does not load on this machine. */
  async discard(key: string): Promise<void> {
    for (const folder of this.#readable()) {
      try {
        moveAside(folder, key);
      } catch (error) {
        if (storageProblem(error) === null) throw error;
        this.#useless.add(key);
      }
    }
  }

  /** The text that was remembered under a key, by this process or another; null where there is none. */
  recall(key: string): string | null {
    for (const folder of this.#readable()) {
      try {
        return folder.readText(noteOf(key));
      } catch {
        // Absent, or not trusted.
      }
    }
    return null;
  }

  /** Remembers a short text where the folder allows it. Otherwise the caller computes it again next time. */
  remember(key: string, text: string): void {
    try {
      const folder = this.#keep();
      writeWhole(folder, noteOf(key), text);
    } catch (error) {
      if (storageProblem(error) === null) throw error;
    }
  }

  async #findOrBuild(request: CacheRequest, signal: AbortSignal): Promise<CacheEntry> {
    for (const folder of this.#readable()) {
      const found = folder === this.#kept && this.#useless.has(request.key) ? null : findEntry(folder, request);
      if (found) return found;
    }
    for (;;) {
      const folder = this.#forBuilding();
      try {
        if (folder === this.#kept) this.#sweepOnce(folder);
        return await buildEntry(folder, request, signal);
      } catch (error) {
        const problem = storageProblem(error);
        if (problem === null) throw error;
        this.#refuse(folder, problem);
      }
    }
  }

  /** The folders that may hold entries. */
  #readable(): OwnFolder[] {
    try {
      this.#keep();
    } catch (error) {
      if (storageProblem(error) === null) throw error;
    }
    return [this.#temporary, this.#kept].filter((folder) => folder !== null);
  }

  #keep(): OwnFolder {
    // It may have been removed, or moved, while the process runs. Whoever works in it still holds its descriptor, so it is not closed.
    if (this.#kept?.isInPlace() === false) this.#kept = null;
    this.#kept ??= openKernels(this.root);
    return this.#kept;
  }

  #forBuilding(): OwnFolder {
    if (this.#refusal === null || Date.now() > this.#refusal.until) {
      try {
        return this.#keep();
      } catch (error) {
        const problem = storageProblem(error);
        if (problem === null) throw error;
        this.#refuseKept(at(this.root ?? "", problem));
      }
    }
    if (this.#temporary?.isInPlace() === false) this.#temporary = null;
    try {
      this.#temporary ??= openTemporary();
      return this.#temporary;
    } catch (error) {
      throw this.#nowhere(at(tmpdir(), storageProblem(error) ?? String(error)));
    }
  }

  /** Switches to another folder after one took no files. Throws where there is no other. */
  #refuse(folder: OwnFolder, problem: string): void {
    if (!folder.isInPlace()) return;
    if (folder !== this.#kept) throw this.#nowhere(at(folder.path, problem));
    this.#refuseKept(at(folder.path, problem));
  }

  #refuseKept(problem: string): void {
    this.#refusal = { problem, until: Date.now() + RETRY_MS };
    warnOnce(
      `lossc cannot keep compiled kernels (${problem}), so they are compiled anew in every process; set LOSSC_CACHE_DIR to a folder of yours.`,
    );
  }

  #nowhere(problem: string): LosscError {
    return new LosscError(
      "COMPILE_FAILED",
      `no folder takes the compiler's files (${[this.#refusal?.problem, problem].filter(Boolean).join("; ")}): make room, or name folders of yours in LOSSC_CACHE_DIR and TMPDIR.`,
    );
  }

  #sweepOnce(folder: OwnFolder): void {
    if (!this.#swept) sweep(folder);
    this.#swept = true;
  }
}

const noteOf = (key: string) => `note-${key}.json`;

/** A message with its folder, which only some messages of the system contain. */
const at = (folder: string, problem: string) => (problem.includes(folder) ? problem : `${folder}: ${problem}`);
