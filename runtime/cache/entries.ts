/**
 * Entries of the cache, one folder per key. An entry is made under a temporary name and renamed into place, so that it is complete or absent.
 * Processes need no lock. A killed one leaves only a `building-…` folder, which is removed later.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { LosscError } from "../../dsl/errors.js";
import { type OwnFolder, StorageError } from "../files/own-folder.js";
import { isAbandoned, MARK, temporaryName } from "../files/temporaries.js";
import { Semaphore } from "../tasks/semaphore.js";
import { type CacheEntry, type EntryNames, entryFile, readEntry } from "./entry.js";
import { storageProblem } from "./problems.js";

/** The source of a binary. */
export interface CacheRequest extends EntryNames {
  /** The readable text, kept beside the binary. */
  readonly source: { readonly file: string; readonly text: string };
  /** Compiler, flags and architecture, for people who read the folder. */
  readonly about: Readonly<Record<string, unknown>>;
  /**
   * Compiles `source.file` in `folder` to `binary` there. The folder is good as the working folder of a program, and means nothing to the program
   * itself.
   */
  build(folder: string, signal: AbortSignal): Promise<void>;
}

/** Time for which texts of failed compilations are kept. */
const FAILED_AGE_MS = 7 * 24 * 60 * 60 * 1000;

const BUILDING = "building-";
const FAILED = "failed-";

/** Limits the compilers of this process to one per core. */
const compilers = new Semaphore(availableParallelism());

/** The entry of a key, if it exists and is complete. */
export function findEntry(folder: OwnFolder, request: EntryNames): CacheEntry | null {
  let entry: OwnFolder;
  try {
    entry = folder.inner(request.key);
  } catch {
    return null;
  }
  try {
    return readEntry(entry, request);
  } finally {
    entry.close();
  }
}

/** Makes the entry. A failure removes the unfinished folder, but keeps a text that does not compile for reading. */
export async function buildEntry(folder: OwnFolder, request: CacheRequest, signal: AbortSignal): Promise<CacheEntry> {
  const making = makeMarked(folder, BUILDING);
  const { key, source, binary, about } = request;
  try {
    folder.write(join(making, source.file), source.text);
    await compilers.run(() => request.build(folder.at(making), signal), signal, "The compilation");
    const bytes = adopt(folder, making, binary);
    const entry = entryFile(request, bytes, { made: new Date().toISOString(), ...about });
    folder.write(join(making, entry.name), entry.text);
    install(folder, making, request);
    const path = join(folder.path, key);
    return { key, path: join(path, binary), bytes, source: join(path, source.file), built: true, about: entry.about };
  } catch (error) {
    // A folder that was removed during the compilation is the cause of the compiler's error.
    if (!folder.has(making) && !signal.aborted)
      throw new StorageError(`${folder.path} was removed while a compiler worked in it`);
    throw storageProblem(error) === null ? keepFailed(folder, making, request, error) : error;
  } finally {
    folder.remove(making);
  }
}

/** Writes a file in one step: readers find the old, the new or none. */
export function writeWhole(folder: OwnFolder, name: string, text: string): void {
  const making = makeMarked(folder, BUILDING);
  try {
    folder.write(join(making, "text"), text);
    folder.rename(join(making, "text"), name);
  } finally {
    folder.remove(making);
  }
}

function makeMarked(folder: OwnFolder, prefix: string): string {
  const name = temporaryName(prefix);
  folder.make(name);
  try {
    folder.write(join(name, MARK), "");
  } catch (error) {
    folder.remove(name);
    throw error;
  }
  return name;
}

/** Files of the compiler, whose permissions are the compiler's choice. */
function adopt(folder: OwnFolder, making: string, binary: string): Uint8Array {
  const file = join(making, binary);
  if (!folder.has(file)) throw new LosscError("COMPILE_FAILED", `the compiler says that all is well and made no ${binary}.`);
  folder.adopt(file);
  return folder.read(file);
}

/** Renames the finished folder into place. The loser of a race leaves the winner's; a damaged entry is replaced. */
function install(folder: OwnFolder, making: string, request: CacheRequest): void {
  for (let attempt = 0; ; attempt++) {
    try {
      folder.rename(making, request.key);
      return;
    } catch (error) {
      if (findEntry(folder, request)) return;
      if (attempt === 3) throw error;
      moveAside(folder, request.key);
    }
  }
}

/** Renames an entry and then deletes it, so that no reader sees a part of it. */
export function moveAside(folder: OwnFolder, key: string): void {
  if (!folder.has(key)) return;
  const grave = makeMarked(folder, BUILDING);
  try {
    folder.rename(key, join(grave, "entry"));
  } finally {
    folder.remove(grave);
  }
}

/** Keeps the text of a failed compilation where the error can point to it. */
function keepFailed(folder: OwnFolder, making: string, request: CacheRequest, error: unknown): unknown {
  if (!(error instanceof LosscError) || error.code !== "COMPILE_FAILED") return error;
  const kept = `${FAILED}${request.key}`;
  try {
    if (error.log) folder.write(join(making, "log.txt"), error.log);
    if (isMarked(folder, kept)) folder.remove(kept);
    folder.rename(making, kept);
  } catch {
    // Another process has kept the same text already.
  }
  const text = join(folder.path, kept, request.source.file);
  return new LosscError(error.code, `${error.message} The text is in ${text}`, { cause: error.cause, log: error.log, text });
}

/** Removes folders of killed processes, and old texts of failed compilations. */
export function sweep(folder: OwnFolder): void {
  const now = Date.now();
  for (const name of folder.names()) {
    if (!(name.startsWith(BUILDING) || name.startsWith(FAILED)) || !isMarked(folder, name)) continue;
    try {
      const stats = folder.stats(name);
      const isOld = name.startsWith(FAILED) && now - stats.mtimeMs > FAILED_AGE_MS;
      if (isOld || isAbandoned(BUILDING, name, stats, now)) folder.remove(name);
    } catch {
      // Another process swept it.
    }
  }
}

/** Whether lossc made the entry of that name. */
function isMarked(folder: OwnFolder, name: string): boolean {
  return folder.has(join(name, MARK));
}
