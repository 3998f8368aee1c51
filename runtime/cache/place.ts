/** The folder of compiled kernels: lossc's own within the one that the user names, or a temporary one. */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { OwnFolder, StorageError } from "../files/own-folder.js";
import { makeTemporaryFolder } from "../files/temporaries.js";

/** Name of lossc's folder within the user's, which may hold other files. */
const NAME = "lossc-kernels";

/**
 * The file by which lossc recognises its folder, and by which backup programs recognise a cache (the Cache Directory Tagging Specification).
 */
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
    // The system has no entry for this user.
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
  // The folder is renamed into place with its tag, so that it never exists without it.
  const made = makeTemporaryFolder(root, `${NAME}-`);
  try {
    made.write(TAG, TAG_TEXT);
    renameSync(made.path, path);
    made.close();
  } catch (error) {
    made.destroy();
    // Another process was first.
    if (!existsSync(path)) throw error;
  }
  return openTagged(path);
}

/** Folders that are removed with this process; null before the first one. */
let temporaries: Set<OwnFolder> | null = null;

/** A folder for this process alone, removed when the process ends. */
export function openTemporary(): OwnFolder {
  const folder = makeTemporaryFolder(tmpdir(), `${NAME}-`);
  if (!temporaries) process.once("exit", removeTemporaries);
  temporaries ??= new Set();
  // A folder that was removed meanwhile is forgotten.
  for (const other of temporaries) if (!other.isInPlace()) temporaries.delete(other);
  temporaries.add(folder);
  return folder;
}

function removeTemporaries(): void {
  for (const folder of temporaries ?? []) {
    try {
      folder.destroy();
    } catch {
      // It is gone, or no longer where it was made.
    }
  }
}

function openTagged(path: string): OwnFolder {
  const folder = OwnFolder.open(path);
  try {
    if (folder.has(TAG) && folder.readText(TAG) === TAG_TEXT) return folder;
    throw new StorageError(`${path} was not made by lossc: it has no ${TAG} of lossc's`);
  } catch (error) {
    folder.close();
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
