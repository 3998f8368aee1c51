/** Running other programs: without a shell, with argument arrays only, and to be ended by a signal. */
import { spawn } from "node:child_process";
import { access, constants, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { abortedError, whenAborted } from "../abort.js";

export interface Outcome {
  /** Exit status; null where a signal ended the program. */
  readonly status: number | null;
  /** stdout and stderr as they came, the first megabyte of them. */
  readonly output: string;
}

const OUTPUT_LIMIT = 1 << 20;

/** Runs a program to its end. Rejects with `ABORTED` when the signal fires, after the program and its children are dead. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Outcome> {
  const { signal } = options;
  return new Promise((resolvePromise, reject) => {
    if (signal?.aborted) {
      reject(abortedError(signal, "The compilation"));
      return;
    }
    // A compiler driver starts further processes: a group of its own lets them end together.
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const pieces: Buffer[] = [];
    let size = 0;
    const collect = (piece: Buffer) => {
      if (size < OUTPUT_LIMIT) pieces.push(piece);
      size += piece.length;
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    const stop = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        child.kill("SIGKILL");
      }
    };
    const done = whenAborted(signal, stop);
    child.once("error", (error) => {
      done();
      reject(error);
    });
    child.once("close", (status) => {
      done();
      if (signal?.aborted) reject(abortedError(signal, "The compilation"));
      else
        resolvePromise({
          status,
          output: Buffer.concat(pieces).toString("utf8").slice(0, OUTPUT_LIMIT),
        });
    });
  });
}

/** The file that a program's name means: a path as it is, a bare name by `$PATH`. Null where there is none that may be run. */
export async function findProgram(name: string): Promise<string | null> {
  if (name.includes("/")) return (await isProgram(resolve(name))) ? resolve(name) : null;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    // An empty or relative entry would mean whatever folder the process stands in.
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
