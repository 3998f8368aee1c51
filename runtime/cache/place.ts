/** Where compiled kernels are kept: a folder of lossc's own within the one that the user names, or a temporary one. */
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { isAbandoned, temporaryPath } from "../temporaries.js";
import { OwnFolder } from "./own-folder.js";
import { StorageError } from "./problems.js";

/** lossc's folder: in the user's there may be anything. */
const NAME = "lossc-kernels";

/** How the names of those begin that are there for a while. */
const MAKING = `${NAME}-`;

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
  const made = makeTagged(root);
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
  const path = makeTagged(tmpdir());
  process.once("exit", () => empty(path));
  return OwnFolder.open(path);
}

function openTagged(path: string): OwnFolder {
  const folder = OwnFolder.open(path);
  try {
    if (folder.readText(TAG) === TAG_TEXT) return folder;
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
  folder.close();
  throw new StorageError(`${path} was not made by lossc: it has no ${TAG} of lossc's`);
}

/** A new folder of lossc's; those that killed processes left go. */
function makeTagged(within: string): string {
  for (const name of readdirSync(within)) removeIfAbandoned(within, name);
  const path = temporaryPath(within, MAKING);
  mkdirSync(path, { mode: 0o700 });
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

function removeIfAbandoned(within: string, name: string): void {
  if (!name.startsWith(MAKING)) return;
  const stats = lstatSync(join(within, name), { throwIfNoEntry: false });
  if (stats && isAbandoned(MAKING, name, stats, Date.now())) empty(join(within, name));
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
