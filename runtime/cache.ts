/**
 * Binaries on disk, one folder per key: `<root>/<key>/` holds the readable source, the binary and `entry.json` with the binary's digest.
 * A folder is made under a temporary name and renamed into place, so that it is whole or not there: processes need no lock between
 * them, and one that is killed leaves nothing but a `tmp-…` folder, which is swept away later.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { availableParallelism, homedir, tmpdir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { LosscError } from "../dsl/errors.js";
import { Shared } from "./abort.js";
import { Slots } from "./slots.js";
import { warnOnce } from "./warnings.js";

/** What a binary is made from. */
export interface CacheRequest {
  /** Of {@link cacheKey}. */
  readonly key: string;
  /** The readable text, kept beside the binary. */
  readonly source: { readonly file: string; readonly text: string };
  /** Name of the binary's file. */
  readonly binary: string;
  /** For people who look into the folder: compiler, flags, architecture. */
  readonly about: Readonly<Record<string, unknown>>;
  /** Compiles `source.file` in `folder` to `binary` there. */
  build(folder: string, signal: AbortSignal): Promise<void>;
}

export interface CacheEntry {
  readonly key: string;
  /** Path of the binary. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Path of the readable text. */
  readonly source: string;
  /** Whether this call made it. */
  readonly built: boolean;
  /** What `entry.json` says of it. */
  readonly about: Readonly<Record<string, unknown>>;
}

/** A leftover is older than any compiler runs. */
const LEFTOVER_AGE_MS = 60 * 60 * 1000;
/** Texts of failed compilations are kept for reading this long. */
const FAILED_AGE_MS = 7 * 24 * 60 * 60 * 1000;

/** SHA-256 over the parts; no two lists of parts share a key by running into each other. */
export function cacheKey(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** `$LOSSC_CACHE_DIR`, else `$XDG_CACHE_HOME/lossc`, else `~/.cache/lossc`. */
export function cacheRoot(): string {
  const { LOSSC_CACHE_DIR: own, XDG_CACHE_HOME: shared } = process.env;
  if (own) return resolve(own);
  // The XDG specification says that a relative path is to be ignored.
  return join(shared && isAbsolute(shared) ? shared : join(homedir(), ".cache"), "lossc");
}

/** Compilers of this process: one per core, however many losses are compiled at once. */
const compilers = new Slots(availableParallelism());

const caches = new Map<string, KernelCache>();

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
  readonly #inFlight = new Map<string, Shared<CacheEntry>>();
  #ready: Promise<string> | null = null;
  #swept = false;

  constructor(readonly root: string) {}

  /** The folder, made with mode 0700; a private temporary one where the real one cannot be written. */
  folder(): Promise<string> {
    this.#ready ??= makeRoot(this.root);
    return this.#ready;
  }

  /**
   * The binary of a key: found, or built. Callers of one process that ask for the same key share one compiler run, which is ended when all of
   * them have been aborted.
   */
  async get(request: CacheRequest, signal?: AbortSignal): Promise<CacheEntry> {
    let shared = this.#inFlight.get(request.key);
    if (!shared || shared.abandoned) {
      const made: Shared<CacheEntry> = new Shared((abort) => this.#findOrBuild(request, abort));
      const forget = () => {
        if (this.#inFlight.get(request.key) === made) this.#inFlight.delete(request.key);
      };
      made.promise.then(forget, forget);
      this.#inFlight.set(request.key, made);
      shared = made;
    }
    return shared.wait(signal, "The compilation");
  }

  /** Takes an entry away, say one that is whole but does not load on this machine. */
  async discard(key: string): Promise<void> {
    const root = await this.folder();
    await moveAside(root, key);
  }

  async #findOrBuild(request: CacheRequest, signal: AbortSignal): Promise<CacheEntry> {
    const root = await this.folder();
    const found = readEntry(root, request);
    if (found) return found;
    await this.#sweep(root);
    const folder = await mkdtemp(join(root, "tmp-"));
    try {
      await writeFile(join(folder, request.source.file), request.source.text);
      await compilers.run(() => request.build(folder, signal), signal, "The compilation");
      const bytes = await readFile(join(folder, request.binary));
      const entry = {
        key: request.key,
        binary: request.binary,
        sha256: digest(bytes),
        bytes: bytes.length,
        made: new Date().toISOString(),
        ...request.about,
      };
      await writeFile(join(folder, "entry.json"), `${JSON.stringify(entry, null, 2)}\n`);
      await install(root, folder, request);
    } catch (error) {
      throw await keepFailed(root, folder, request, error);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    const entry = readEntry(root, request);
    if (!entry)
      throw new LosscError(
        "COMPILE_FAILED",
        `the cache entry ${join(root, request.key)} was damaged while it was made; try again`,
      );
    return { ...entry, built: true };
  }

  /** Removes what killed processes left, once per process and only when something is built. */
  async #sweep(root: string): Promise<void> {
    if (this.#swept) return;
    this.#swept = true;
    const now = Date.now();
    for (const name of await readdir(root)) {
      const age = name.startsWith("tmp-") ? LEFTOVER_AGE_MS : name.startsWith("failed-") ? FAILED_AGE_MS : null;
      if (age === null) continue;
      const path = join(root, name);
      try {
        if (now - (await stat(path)).mtimeMs > age) await rm(path, { recursive: true, force: true });
      } catch {
        // Another process swept it, or it belongs to somebody else: harmless either way.
      }
    }
  }
}

async function makeRoot(root: string): Promise<string> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    // Writable? mkdtemp is what every build needs, so it is the test.
    await rm(await mkdtemp(join(root, "tmp-")), { recursive: true });
    return root;
  } catch (error) {
    const substitute = mkdtempSync(join(tmpdir(), "lossc-"));
    process.once("exit", () => rmSync(substitute, { recursive: true, force: true }));
    const problem = error instanceof Error ? error.message : String(error);
    warnOnce(
      `lossc cannot write its cache (${problem}), so kernels are compiled anew in every process; set LOSSC_CACHE_DIR to a folder of yours.`,
    );
    return substitute;
  }
}

/**
 * The entry, if it is whole and ours; with `anyOwner` it may be somebody else's, as the program itself may be. It is read at once, which is
 * the one place where the event loop waits for a disk: the files are small, tracing holds the loop longer, and each of the dozen ways to the thread pool and back
 * can cost more than all of the reading.
 */
export function readEntry(
  root: string,
  request: Pick<CacheRequest, "key" | "source" | "binary">,
  { anyOwner = false } = {},
): CacheEntry | null {
  const folder = join(root, request.key);
  const path = join(folder, request.binary);
  try {
    const owner = statSync(folder).uid;
    // A folder that somebody else planted is not loaded as code.
    if (!anyOwner && process.getuid && owner !== process.getuid()) return null;
    const about = JSON.parse(readFileSync(join(folder, "entry.json"), "utf8")) as Record<string, unknown>;
    const bytes = readFileSync(path);
    if (about.sha256 !== digest(bytes)) return null;
    return {
      key: request.key,
      path,
      bytes,
      source: join(folder, request.source.file),
      built: false,
      about,
    };
  } catch {
    return null;
  }
}

/** Renames the finished folder into place. The loser of a race leaves the winner's; a damaged entry is replaced. */
async function install(root: string, folder: string, request: CacheRequest): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await rename(folder, join(root, request.key));
      return;
    } catch (error) {
      if (readEntry(root, request)) return;
      if (attempt === 3) throw error;
      await moveAside(root, request.key);
    }
  }
}

/** Takes an entry out of its place in one step and then deletes it, so that nobody meets half of it. */
async function moveAside(root: string, key: string): Promise<void> {
  const grave = await mkdtemp(join(root, "tmp-"));
  try {
    await rename(join(root, key), join(grave, "entry"));
  } catch {
    // It is gone already.
  }
  await rm(grave, { recursive: true, force: true });
}

/** Keeps the text of a failed compilation where the error can point to it. */
async function keepFailed(root: string, folder: string, request: CacheRequest, error: unknown): Promise<unknown> {
  if (!(error instanceof LosscError) || error.code !== "COMPILE_FAILED") return error;
  const kept = join(root, `failed-${request.key}`);
  try {
    await rm(kept, { recursive: true, force: true });
    if (error.log) await writeFile(join(folder, "log.txt"), error.log);
    await rename(folder, kept);
  } catch {
    // Another process that failed the same way was faster: its copy is as good.
  }
  const text = join(kept, request.source.file);
  return new LosscError(error.code, `${error.message} The text is in ${text}`, {
    cause: error.cause,
    log: error.log,
    text,
  });
}

export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
