/** Running other programs: without a shell, with argument arrays only, to be ended by a signal, and never to outlive this process. */
import { spawn } from "node:child_process";
import { access, constants, stat } from "node:fs/promises";
import { constants as system } from "node:os";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { getSystemErrorName } from "node:util";
import { findGuard } from "../addon/addon.js";
import { abortedError, whenAborted } from "../tasks/abort.js";

export interface Outcome {
  /** Exit status; null where a signal ended the program. */
  readonly status: number | null;
  /** stdout and stderr as they came, the first {@link RunOptions.limit} bytes of them. */
  readonly output: string;
  /** stdout alone, of the same bytes. */
  readonly stdout: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
  /** Text for stdin, which is empty without it. */
  readonly input?: string;
  /** Bytes of output that are kept; a megabyte where nothing is said. */
  readonly limit?: number;
}

/**
 * Runs a program to its end. A bare name is looked for as {@link findProgram} does. Rejects with `ABORTED` when the signal fires, after the program
 * and its children are dead, and with the system's error where the program cannot be started.
 *
 * A guard starts the program (native/guard): when this process ends, be it by SIGKILL, or the worker thread that called, the system closes the socket
 * to the guard, and the guard kills the program and its children. Where no addon was built there is no guard either. The program is then started
 * directly, and may outlive a process that was killed.
 */
export async function runProgram(name: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { cwd, env, signal, input, limit = 1 << 20 } = options;
  const program = name.includes("/") ? name : await findProgram(name);
  if (program === null) throw startError(name, -system.errno.ENOENT);
  return new Promise((resolvePromise, reject) => {
    if (signal?.aborted) {
      reject(abortedError(signal, "The compilation"));
      return;
    }
    const guard = findGuard();
    const [started, ...parameters] = guard === null ? [program, ...args] : [guard, program, ...args];
    const child = spawn(started, parameters, {
      cwd,
      env,
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe", ...(guard === null ? [] : ["pipe" as const])],
      // A compiler driver starts further processes: a group of its own lets them end together.
      detached: true,
    });
    const [, stdout, stderr, socket] = child.stdio as (Readable | null | undefined)[];
    const pieces: { readonly from: Readable; readonly piece: Buffer }[] = [];
    let size = 0;
    for (const from of [stdout, stderr]) {
      from?.on("data", (piece: Buffer) => {
        if (size < limit) pieces.push({ from, piece: piece.subarray(0, limit - size) });
        size += piece.length;
      });
    }
    let answer = "";
    socket?.on("data", (piece: Buffer) => {
      answer += piece.toString("latin1");
    });
    // A program that ends before it has read everything, and a guard that was killed, are seen by how they end.
    for (const stream of [child.stdin, socket]) stream?.on("error", () => {});
    child.stdin?.end(input);
    const stop = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        child.kill("SIGKILL");
      }
    };
    const done = whenAborted(signal, stop);
    child.once("error", (error: NodeJS.ErrnoException) => {
      done();
      reject(error.errno === undefined ? error : startError(program, error.errno));
    });
    // Children that the program left behind are killed with it, and all of them when somebody killed the guard.
    child.once("exit", stop);
    child.once("close", (code) => {
      done();
      const how = guard === null ? { status: code } : howItEnded(program, answer);
      const text = (kept: typeof pieces) => Buffer.concat(kept.map(({ piece }) => piece)).toString("utf8");
      if (signal?.aborted) reject(abortedError(signal, "The compilation"));
      else if (how instanceof Error) reject(how);
      else resolvePromise({ ...how, output: text(pieces), stdout: text(pieces.filter(({ from }) => from === stdout)) });
    });
  });
}

/** Parses the guard's line about the program's end (native/guard/guard.cc). A guard that wrote nothing was killed together with the program. */
function howItEnded(program: string, answer: string): Error | { readonly status: number | null } {
  const [, how, number] = /^(exit|error) (\d+)\n/.exec(answer) ?? [];
  if (how !== "error") return { status: how === "exit" ? Number(number) : null };
  return startError(program, -Number(number));
}

/** The error of Node's own `spawn`, whoever tried to start the program. */
function startError(program: string, errno: number): Error {
  const code = getSystemErrorName(errno);
  const syscall = `spawn ${program}`;
  return Object.assign(new Error(`${syscall} ${code}`), { errno, code, syscall, path: program });
}

/** The file that a program's name means: a path as it is, a bare name by `$PATH`. Null where there is none that may be run. */
export async function findProgram(name: string): Promise<string | null> {
  if (name.includes("/")) return (await isProgram(resolve(name))) ? resolve(name) : null;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    // An empty or relative entry would depend on the working directory.
    if (!isAbsolute(folder)) continue;
    const path = join(folder, name);
    if (await isProgram(path)) return path;
  }
  return null;
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
