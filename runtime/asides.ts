/**
 * Files that are written aside, and what becomes of those whose process was killed before it renamed them.
 *
 * The name of such a file is lossc's mark: `.lossc-aside-PLACE-PID-START-RANDOM`. PLACE is a hash of the host's name, of the time since which it runs, and of the namespace
 * of its process numbers, for a folder may be shared by hosts and by containers, each with a process of that number. START is when the process began, for numbers are used
 * again. Only there can it be known that the process has ended. Of a file from elsewhere that is known by its age alone.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { lstat, opendir, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

const NAME = /^\.lossc-aside-([0-9a-f]{12})-(\d+)-(\d+)-[0-9a-f]{12}$/;

/** Milliseconds after its last byte when a file of an unknown process is taken for abandoned: what is being written changes all the time. */
const ABANDONED = 24 * 60 * 60 * 1000;

interface Writer {
  readonly place: string;
  readonly start: string;
}

let ourselves: Writer | undefined;

/** A new name in the folder; 60 bytes, however long that is which the file will get. */
export function asidePath(folder: string): string {
  ourselves ??= findOurselves();
  const { place, start } = ourselves;
  return join(folder, `.lossc-aside-${place}-${process.pid}-${start}-${randomBytes(6).toString("hex")}`);
}

/**
 * Removes the files that bear the mark, belong to this user and whose process has ended. Where that cannot be found out they stay, as does everything else.
 *
 * @param now The file system's time in ms, which need not be that of this host.
 */
export async function removeAbandoned(folder: string, now: number): Promise<void> {
  try {
    for await (const { name } of await opendir(folder)) {
      const [, place, pid, start] = NAME.exec(name) ?? [];
      if (place !== undefined) await removeIfAbandoned(join(folder, name), { place, start: start as string }, pid as string, now);
    }
  } catch {
    // A folder that can be written but not listed.
  }
}

async function removeIfAbandoned(path: string, writer: Writer, pid: string, now: number): Promise<void> {
  try {
    const stats = await lstat(path);
    if (!stats.isFile() || stats.uid !== (process.geteuid?.() ?? stats.uid)) return;
    const isHere = writer.place === ourselves?.place && writer.place !== UNKNOWN;
    if (isHere ? startOf(pid) !== writer.start : now - stats.mtimeMs > ABANDONED) await unlink(path);
  } catch {
    // Another process has removed it, or renamed it into place.
  }
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
