/** Where compiled kernels are kept: a folder of lossc's own within the one that the user names, or a temporary one. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmdirSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { OwnFolder } from "./own-folder.js";
import { StorageError } from "./problems.js";

/** lossc's folder: in the user's there may be anything. */
const NAME = "lossc-kernels";

/** By this file lossc knows its folder, and programs that save or search files know that it can be made anew (the Cache Directory Tagging Specification). */
const TAG = "CACHEDIR.TAG";
const TAG_TEXT = `Signature: 8a477f597d28d172789f06886806bc55
# This folder was made by lossc. It holds compiled kernels; whatever is removed from it is compiled again when it is needed.
`;

/** `$LOSSC_CACHE_DIR`, else `$XDG_CACHE_HOME/lossc`, else `~/.cache/lossc`; null for a user without a home folder. */
export function cacheRoot(): string | null {
  const { LOSSC_CACHE_DIR: own, XDG_CACHE_HOME: shared } = process.env;
  if (own) return resolve(own);
  // The XDG specification says that a relative path is to be ignored.
  if (shared && isAbsolute(shared)) return join(shared, "lossc");
  const home = [homedir, () => userInfo().homedir].map(attempt).find((path) => path !== null && isAbsolute(path));
  return home ? join(home, ".cache", "lossc") : null;
}

function attempt(path: () => string): string | null {
  try {
    return path();
  } catch {
    // A user that the system has no entry of.
    return null;
  }
}

/** lossc's folder in `root`, made where it is not there. Throws where it cannot be, or is not this user's alone. */
export function openKernels(root: string | null): OwnFolder {
  if (root === null) throw new StorageError("this user has no home folder");
  const path = join(root, NAME);
  try {
    return openTagged(path);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
  mkdirSync(root, { recursive: true, mode: 0o700 });
  // It is there with its tag or not at all.
  const made = makeTagged(`${path}-`);
  try {
    renameSync(made, path);
  } catch (error) {
    empty(made);
    // Another process was first.
    if (!existsSync(path)) throw error;
  }
  return openTagged(path);
}

/** A folder for this process alone, gone when it ends. */
export function openTemporary(): OwnFolder {
  removeLeft(tmpdir());
  const path = makeTagged(join(tmpdir(), `lossc-${process.pid}-`));
  process.once("exit", () => empty(path));
  return OwnFolder.open(path);
}

/** Temporary folders of processes that were killed. One whose process only seems to be gone, since it runs in another container, is made again by it. */
function removeLeft(folder: string): void {
  for (const name of readdirSync(folder)) {
    const [, pid] = /^lossc-(\d+)-/.exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid))) empty(join(folder, name));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

function openTagged(path: string): OwnFolder {
  const folder = OwnFolder.open(path);
  try {
    if (folder.read(TAG).toString() === TAG_TEXT) return folder;
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
  folder.close();
  throw new StorageError(`${path} was not made by lossc: it has no ${TAG} of lossc's`);
}

function makeTagged(prefix: string): string {
  const path = mkdtempSync(prefix);
  const folder = OwnFolder.open(path);
  try {
    // In a folder where others may rename things, it may be another by now; an empty one of this user's is as good.
    if (folder.names().length > 0) throw new StorageError(`${path} was exchanged while it was made`);
    folder.write(TAG, TAG_TEXT);
  } finally {
    folder.close();
  }
  return path;
}

/** Removes a folder of lossc's. Its content is reached as {@link OwnFolder} does: another that stands in its place by now keeps what it has. */
function empty(path: string): void {
  try {
    const folder = openTagged(path);
    for (const name of folder.names()) folder.remove(name);
    folder.close();
    rmdirSync(path);
  } catch {
    // It is gone, or no longer what was made.
  }
}

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
