/**
 * Protection from the side effects of a user's file, which may print, exit, keep timers open, or throw where nothing catches. Stdout holds results
 * alone, the exit code is lossc's, and the process ends when the command does, neither before nor after.
 */
import { writeSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { setImmediate } from "node:timers/promises";
import { framed } from "../../codegen/frame.js";
import { LosscError } from "../../dsl/errors.js";
import { thrownText } from "../../dsl/thrown.js";
import { loadedFiles, userPosition } from "../modules/loaded.js";
import { describeFailure, exitCodeOf, failureLine, inWords } from "./failure.js";
import { flush, hasBegun, stdout } from "./stream.js";
import { usage } from "./usage.js";

const { exit } = process;

interface Listener {
  /** Whether a fault still makes the work fail. */
  readonly matters: () => boolean;
  readonly fail: (error: unknown) => void;
}

/** Of the innermost work under way. */
let listener: Listener | null = null;
let ended = false;
/** Whether a user's listener for uncaught errors may be running. */
let amongListeners = false;

/**
 * Runs work that may run a user's file. An error that nothing catches meanwhile, a rejection or one that a timer throws, makes the work fail while it
 * `matters`; later it is only printed on stderr.
 */
export async function withFaults<T>(work: () => Promise<T>, matters = () => true): Promise<T> {
  const outer = listener;
  try {
    return await new Promise<T>((resolve, reject) => {
      listener = { matters, fail: reject };
      // Node reports rejections that are there already in the next turn.
      const settled = work().then(async (result) => {
        await setImmediate();
        return result;
      });
      settled.then(resolve, reject);
    });
  } finally {
    listener = outer;
  }
}

/** Keeps stdout and `process.exit` for the command. Called before the first of the user's files runs. */
export function takeProcess(): void {
  // Their output goes to stderr: programs read stdout as the result.
  Object.defineProperty(process, "stdout", { configurable: true, enumerable: true, get: () => process.stderr });
  process.exit = refuseExit;
  syncBuiltinESMExports();
  process.on("uncaughtException", (error) => {
    // A file that listens too has taken care of it.
    if (process.listenerCount("uncaughtException") === 1) return failWith(error);
    amongListeners = true;
    queueMicrotask(() => {
      amongListeners = false;
    });
  });
  process.on("exit", atExit);
  process.stderr.on("error", () => {});
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    // The reader of our output may stop early, as `head` does: that is no fault.
    if (error.code === "EPIPE") return leave(0);
    process.stderr.write(inWords(usage(`stdout cannot be written: ${error.message}`, error)));
    leave(2);
  });
}

/** Ends the process once everything that was written is out. Timers and servers that are still open do not keep it. */
export async function end(code: number): Promise<void> {
  await flush();
  leave(code);
}

function leave(code: number): void {
  ended = true;
  // Added last, so that no listener of a file changes the code afterwards.
  process.on("exit", () => {
    process.exitCode = code;
  });
  try {
    exit.call(process, code);
  } catch (error) {
    process.stderr.write(inWords(faultOf(error)));
    // A listener threw. Node calls none a second time, so this ends the process.
    exit.call(process, code);
  }
}

function failWith(error: unknown): void {
  const fault = faultOf(error);
  if (!ended && listener?.matters()) listener.fail(fault);
  else process.stderr.write(inWords(fault));
}

const refuseExit = ((code?: number | string | null) => {
  const refusal = new LosscError(
    "LOSS_UNKNOWN",
    `process.exit(${code ?? ""}) was called where a loss is only defined: take the call out of the file, or into a program of its own`,
    { position: userPosition(new Error()) },
  );
  // Node ends the process at once when a listener for uncaught errors throws.
  if (!amongListeners) throw refusal;
  failWith(refusal);
}) as typeof process.exit;

/** An error that nothing caught. Without a user's file it is lossc's own. */
function faultOf(error: unknown): unknown {
  if (error instanceof LosscError) return framed(error);
  if (loadedFiles.length === 0) return error;
  const files = loadedFiles.join(", ");
  const message = `${files}, or what ${loadedFiles.length > 1 ? "they import" : "it imports"}, threw what nothing caught: ${thrownText(error)}`;
  return framed(new LosscError("LOSS_UNKNOWN", message, { cause: error, position: userPosition(error) }));
}

/** The process ends before the command has: some of a file's ways to end it cannot be refused. */
function atExit(): void {
  if (ended) return;
  const lost =
    loadedFiles.length === 0
      ? new Error("the process ended before the command did")
      : new LosscError(
          "LOSS_UNKNOWN",
          `the process was ended by ${loadedFiles.join(", ")}, or by what it imports, before the result was there`,
        );
  const failure = describeFailure(lost);
  process.exitCode = exitCodeOf(failure);
  if (!hasBegun()) writeNow(1, failureLine(failure));
  writeNow(2, inWords(lost));
}

/** Writes synchronously: at exit the event loop takes no further turn. */
function writeNow(descriptor: 1 | 2, text: string): void {
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      // A pipe whose reader is slower than we are takes more later.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
    }
  }
}
