/**
 * Files whose paths a user gives: written aside and renamed into place, read without ever waiting for a writer, and, where the system refuses, errors
 * that say what to do. Every one of them is `USAGE`.
 */
import { constants, type Stats } from "node:fs";
import { type FileHandle, lstat, open, opendir, readlink, rename, rm, stat, unlink } from "node:fs/promises";
import { dirname, isAbsolute, join, sep } from "node:path";
import { LosscError } from "../../dsl/errors.js";
import { describe } from "../inputs/numbers.js";
import { STICKY } from "./own-folder.js";
import { isAbandoned, temporaryName } from "./temporaries.js";

/** Prefix of the names of files that are not in place yet. */
const ASIDE = ".lossc-aside-";

/** Linux's limit. */
const MAX_LINKS = 40;

/**
 * Writes a file aside, in the folder where it belongs, and renames it into place: whoever reads finds the file before or the file after, never a
 * part.
 *
 * A symbolic link at `path` stays, and the file that it names is replaced. Mode, owner and group of a file that is replaced are kept as far as the
 * system allows; a new file follows the umask. The new file and its name are on the disk when this settles. A failure changes nothing and leaves no
 * temporary file.
 *
 * @param what What is saved, for messages: `"the state"`.
 * @throws LosscError `USAGE` where the path is of no file, or the system refuses; and all that `write` throws.
 */
export async function writeAside(path: string, what: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  checkPath(path, what);
  let folder = dirname(path);
  try {
    const target = await targetOf(path);
    folder = dirname(target.path);
    const aside = join(folder, temporaryName(ASIDE));
    // Until it has the mode of the file that it replaces, nobody else may read it.
    const file = await open(aside, "wx", target.before ? 0o600 : 0o666);
    try {
      await removeAbandoned(folder, (await file.stat()).mtimeMs);
      await write(file);
      if (target.before) await takeOver(file, target.before);
      await file.sync();
      // Some file systems say only here that they are full.
      await file.close();
      await rename(aside, target.path);
    } catch (cause) {
      await file.close().catch(() => {});
      await rm(aside, { force: true }).catch(() => {});
      throw cause;
    }
    await syncFolder(folder);
  } catch (cause) {
    throw refused(`could not save ${what} to ${path}`, cause, { ...WRITING, ...COMMON }, folder);
  }
}

/**
 * Opens a file for `read`, with its size in bytes, and closes it again. Anything else (a folder, a pipe, a device) is refused without waiting.
 *
 * @throws LosscError `USAGE` where the path is of no file, or the system refuses; and all that `read` throws.
 */
export async function readWith<T>(path: string, what: string, read: (file: FileHandle, size: number) => Promise<T>): Promise<T> {
  checkPath(path, what);
  try {
    // Opening a device can do things to it: look first.
    checkKind(path, await stat(path));
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stats = await file.stat();
      checkKind(path, stats);
      return await read(file, stats.size);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw refused(`could not read ${what} ${path}`, cause, { ...READING, ...COMMON }, path);
  }
}

/** Removes temporary files of killed processes from the folder, and no others. */
async function removeAbandoned(folder: string, now: number): Promise<void> {
  try {
    for await (const { name } of await opendir(folder)) if (name.startsWith(ASIDE)) await removeIfAbandoned(folder, name, now);
  } catch {
    // A folder that can be written but not listed.
  }
}

async function removeIfAbandoned(folder: string, name: string, now: number): Promise<void> {
  const path = join(folder, name);
  try {
    const stats = await lstat(path);
    if (stats.isFile() && isAbandoned(ASIDE, name, stats, now)) await unlink(path);
  } catch {
    // Another process has removed it, or renamed it into place.
  }
}

/** Writes all bytes at that place of the file. */
export async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Fills `bytes` from that place of the file. False where the file ends before. */
export async function readAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<boolean> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

function checkPath(path: unknown, what: string): void {
  if (typeof path !== "string") throw new LosscError("USAGE", `the path of ${what} is ${describe(path)}; give that of a file`);
  if (path === "") throw new LosscError("USAGE", `the path of ${what} is empty; give that of a file`);
  if (path.includes("\0")) {
    const shown = JSON.stringify(path);
    throw new LosscError(
      "USAGE",
      `the path of ${what}, ${shown}, has a NUL character, which no file's name can have; leave it out`,
    );
  }
}

function checkKind(path: string, stats: Stats): void {
  if (stats.isFile()) return;
  const kinds = {
    "a folder": stats.isDirectory(),
    "a pipe": stats.isFIFO(),
    "a socket": stats.isSocket(),
    "a device": stats.isCharacterDevice() || stats.isBlockDevice(),
  };
  const kind = Object.entries(kinds).find(([, is]) => is)?.[0] ?? "no file";
  throw new LosscError("USAGE", `${path} is ${kind}; give the path of a file`);
}

/** The target of a path, and the file there. */
interface Target {
  readonly path: string;
  /** Null where there is nothing yet. */
  readonly before: Stats | null;
}

/** Follows the links at the end of the path. The system does the same on the way to it, with rules of its own. */
async function targetOf(path: string): Promise<Target> {
  let at = isAbsolute(path) ? path : `${process.cwd()}${sep}${path}`;
  const there = await existing(stat, at);
  if (there) checkKind(path, there);
  for (let links = 0; links <= MAX_LINKS; links++) {
    if (at.endsWith("/") || at.endsWith(sep)) throw new LosscError("USAGE", `${at} names a folder; give the path of a file`);
    const before = await existing(lstat, at);
    if (before) await checkOwner(at, before);
    if (!before?.isSymbolicLink()) return { path: at, before };
    const link = await readlink(at);
    at = isAbsolute(link) ? link : `${dirname(at)}${sep}${link}`;
  }
  throw new LosscError("USAGE", `${path} is a link that leads to more than ${MAX_LINKS} others; give the path of a file`);
}

export const mayEveryoneWrite = ({ mode }: Stats): boolean => (mode & 0o002) !== 0;

/**
 * Refuses what another user may have put there to have something else written, or to read what is written (`USAGE`): a link that is neither this
 * user's nor root's, and in a folder where everyone may put files (`/tmp`) also a file of another user's, and any link that others may exchange.
 * Linux can refuse to follow and open such things (`fs.protected_symlinks`, `fs.protected_regular`), but not when links are followed by hand and
 * files are renamed.
 */
export async function checkOwner(path: string, there: Stats): Promise<void> {
  const user = process.geteuid?.();
  if (user === undefined) return;
  const folder = await stat(dirname(path));
  const isPublic = mayEveryoneWrite(folder);
  const isLink = there.isSymbolicLink();
  const isOthers = there.uid !== user && (isLink ? there.uid !== 0 : isPublic && there.uid !== folder.uid);
  if (isOthers) {
    const what = isLink ? "is a link that belongs" : "belongs";
    const where = isPublic ? " and lies in a folder where everyone may put files" : "";
    const way = "give a path in a folder of your own";
    throw new LosscError("USAGE", `${path} ${what} to another user (${there.uid})${where}; ${way}`);
  }
  if (isLink && isPublic && (folder.mode & STICKY) === 0)
    throw new LosscError("USAGE", `${path} is a link in a folder where everyone may exchange it; give the path that it leads to`);
}

async function existing(look: (path: string) => Promise<Stats>, path: string): Promise<Stats | null> {
  try {
    return await look(path);
  } catch (error) {
    if (isRefusal(error) && error.code === "ENOENT") return null;
    throw error;
  }
}

/** Gives a file the owner, group and mode of the one that it replaces. Only root gives files away, and others only to a group of theirs. */
async function takeOver(file: FileHandle, { uid, gid, mode }: Stats): Promise<void> {
  const made = await file.stat();
  let permissions = mode & 0o777;
  if (made.uid !== uid || made.gid !== gid) {
    const done = () => true;
    const failed = () => false;
    const kept = (await file.chown(uid, gid).then(done, failed)) || (await file.chown(made.uid, gid).then(done, failed));
    // The group has changed. The new group gets no more rights than it had before as others.
    if (!kept) permissions &= 0o707 | ((permissions & 0o007) << 3);
  }
  await file.chmod(permissions);
}

/**
 * Puts the new name on the disk. Some systems cannot do so for a folder, and where the folder may not be read it cannot be asked for: then it happens
 * when the system does.
 */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY).catch(() => null);
  await folder?.sync().catch(() => {});
  await folder?.close().catch(() => {});
}

/** The meaning of a system error code for a folder or file, and the way out. */
type Words = Readonly<Record<string, (where: string) => string>>;

const COMMON: Words = {
  ENAMETOOLONG: () => "a name in it is too long (a file's has at most 255 bytes, a path 4095); give a shorter one",
  ELOOP: () => "its links lead in a circle; give the path of a file",
  EMFILE: () => "the process has as many files open as it may; close some, or raise the limit (ulimit -n)",
};

const ELSEWHERE = "or give a path elsewhere";
const forbidden = (folder: string) =>
  `files may not be made or replaced in the folder ${folder}: it does not let this user; change its permissions, ${ELSEWHERE}`;

const WRITING: Words = {
  ENOENT: (folder) => `there is no folder ${folder}; make it first, ${ELSEWHERE}`,
  ENOTDIR: (folder) => `${folder} is no folder, or a part of it is none; give a path elsewhere`,
  EACCES: forbidden,
  EPERM: forbidden,
  EROFS: (folder) => `the folder ${folder} is on a file system that is read only; give a path elsewhere`,
  ENOSPC: (folder) => `there is no space left in the folder ${folder}; make room, ${ELSEWHERE}`,
  EDQUOT: (folder) => `your share of the disk is used up in the folder ${folder}; make room, ${ELSEWHERE}`,
  EFBIG: (folder) => `no file in the folder ${folder} may become as large; raise the limit (ulimit -f), ${ELSEWHERE}`,
  EBUSY: (folder) => `the system holds on to it in the folder ${folder}, say because it is mounted there; give a path elsewhere`,
};

const READING: Words = {
  ENOENT: (path) => `there is no file ${path}; give the path of one`,
  ENOTDIR: (path) => `a part of ${path} is no folder; give the path of a file`,
  EACCES: (path) => `this user may not read ${path}; change its permissions, or those of its folders`,
};

function isRefusal(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).errno === "number";
}

/** The system's refusal as an error of lossc's; anything else as it is. */
function refused(failed: string, cause: unknown, words: Words, where: string): unknown {
  if (!isRefusal(cause)) return cause;
  const why = words[cause.code ?? ""]?.(where) ?? `${cause.message}, at ${where}; give a path elsewhere`;
  return new LosscError("USAGE", `${failed}: ${why}`, { cause });
}
