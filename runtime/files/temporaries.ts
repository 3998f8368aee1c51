/**
 * Files and folders that are there for a while, and what becomes of those whose process was killed.
 *
 * The name of such a thing is lossc's mark: a prefix and `PLACE-PID-START-RANDOM`. PLACE is a hash of the host's name, of the time since which it
 * runs, and of the namespace of its process numbers, for a folder may be shared by hosts and by containers, each with a process of that number. START
 * is when the process began, for numbers are used again. At its own PLACE lossc can ask whether the process has ended. A thing from another place
 * counts as abandoned when it is a day old.
 */
import { createHash, randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { OwnFolder, refuseExchange, StorageError } from "./own-folder.js";

const NAME = /^([0-9a-f]{12})-(\d+)-(\d+)-[0-9a-f]{12}$/;

/** Milliseconds after its last change when a thing of an unknown process is taken for abandoned: what is being written changes all the time. */
const ABANDONED = 24 * 60 * 60 * 1000;

interface Writer {
  readonly place: string;
  readonly start: string;
}

let ourselves: Writer | undefined;

/** A name that nothing has; it is 48 bytes longer than the prefix, or a little more. */
export function temporaryName(prefix: string): string {
  const { place, start } = whoWeAre();
  return `${prefix}${place}-${process.pid}-${start}-${randomBytes(6).toString("hex")}`;
}

/**
 * Whether the thing of that name bears the mark, belongs to this user and has lost its process. Where that cannot be found out it has not.
 *
 * @param now The file system's time in ms, which need not be that of this host.
 */
export function isAbandoned(
  prefix: string,
  name: string,
  { uid, mtimeMs }: { readonly uid: number; readonly mtimeMs: number },
  now: number,
): boolean {
  const [, place, pid, start] = (name.startsWith(prefix) && NAME.exec(name.slice(prefix.length))) || [];
  if (place === undefined || pid === undefined || uid !== (process.geteuid?.() ?? uid)) return false;
  if (place === UNKNOWN || place !== whoWeAre().place) return now - mtimeMs > ABANDONED;
  try {
    return startOf(pid) !== start;
  } catch {
    return false;
  }
}

/**
 * Every folder that lossc makes holds a file of this name: one whose name alone looks like lossc's may have got that from somebody else, and stays.
 */
export const MARK = ".lossc";

/**
 * Makes a folder for this user alone, and removes those of the same prefix whose process was killed. Where other programs are given its path, nobody
 * else may be able to exchange it: then `isExchangeable` is false. Throws {@link StorageError} and the system's errors.
 */
export function makeTemporaryFolder(within: string, prefix: string, { isExchangeable = true } = {}): OwnFolder {
  if (!isExchangeable) refuseExchange(realpathSync(within));
  removeAbandoned(within, prefix);
  const path = join(within, temporaryName(prefix));
  mkdirSync(path, { mode: 0o700 });
  const folder = OwnFolder.open(path, { throughDescriptors: isExchangeable });
  // A folder with content is not the one that was made; it is left alone.
  if (folder.names().length > 0) throw new StorageError(`${path} was exchanged while it was made`);
  try {
    folder.write(MARK, "");
    return folder;
  } catch (error) {
    folder.destroy();
    throw error;
  }
}

function removeAbandoned(within: string, prefix: string): void {
  try {
    for (const name of readdirSync(within)) if (name.startsWith(prefix)) removeIfAbandoned(within, prefix, name);
  } catch {
    // A folder that can be written but not listed.
  }
}

function removeIfAbandoned(within: string, prefix: string, name: string): void {
  const path = join(within, name);
  try {
    if (!isAbandoned(prefix, name, lstatSync(path), Date.now())) return;
    const folder = OwnFolder.open(path);
    if (folder.has(MARK)) folder.destroy();
    else folder.close();
  } catch {
    // It is gone, or not this user's alone.
  }
}

function whoWeAre(): Writer {
  ourselves ??= findOurselves();
  return ourselves;
}

const UNKNOWN = "0".repeat(12);

/** Of a system without Linux's /proc, or with another's, nothing is known. */
function findOurselves(): Writer {
  try {
    const start = startOf("self");
    if (start === null || readlinkSync("/proc/self") !== String(process.pid)) return { place: UNKNOWN, start: "0" };
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1");
    const place = createHash("sha256")
      .update(`${hostname()}\n${boot}\n${readlinkSync("/proc/self/ns/pid")}`)
      .digest("hex");
    return { place: place.slice(0, UNKNOWN.length), start };
  } catch {
    return { place: UNKNOWN, start: "0" };
  }
}

/** When a process began, in ticks since the host did; null where it has ended. */
function startOf(pid: string): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    // /proc can hide processes.
    if (isGone(Number(pid))) return null;
    throw error;
  }
  // The second field is the program's name in parentheses, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, start] = [fields[0], fields[19]];
  if (start === undefined) throw new Error(`/proc/${pid}/stat has no time of the start`);
  return state === "Z" || state === "X" ? null : start;
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
