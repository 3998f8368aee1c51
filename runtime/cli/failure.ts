/** Failures on the command line: one line of JSON on stdout for programs, words on stderr for people, an exit code. */
import { type ErrorCode, LosscError } from "../../dsl/errors.js";
import { thrownText } from "../../dsl/thrown.js";

/** Failures that are not the user's. `INTERNAL` is a fault of lossc's own, which no `LosscError` says. */
const OURS: ReadonlySet<string> = new Set<ErrorCode | "INTERNAL">([
  "COMPILE_FAILED",
  "DEVICE_FAULT",
  "DEVICE_OUT_OF_MEMORY",
  "INTERNAL",
]);

export interface Failure {
  readonly error: { readonly code: string; readonly message: string };
}

export function describeFailure(error: unknown): Failure {
  if (error instanceof LosscError) return { error: { code: error.code, message: error.message } };
  return {
    error: { code: "INTERNAL", message: `a fault of lossc's own: ${error instanceof Error ? error.message : thrownText(error)}` },
  };
}

export function exitCodeOf({ error }: Failure): 1 | 2 {
  return OURS.has(error.code) ? 1 : 2;
}

/** The line of a failure on stdout. */
export function failureLine(failure: Failure): string {
  return `${JSON.stringify(failure)}\n`;
}

/** The failure in words, with details that are too long for a message: the compiler's log, the stack of a fault of our own. */
export function inWords(error: unknown): string {
  const { code, message } = describeFailure(error).error;
  const lines = [`lossc: ${code}: ${message}`];
  if (error instanceof LosscError) {
    if (error.text !== undefined) lines.push(`the generated text is ${error.text}`);
    if (error.log !== undefined) lines.push(error.log.trimEnd());
  } else if (error instanceof Error && error.stack !== undefined) {
    lines.push(error.stack);
  }
  return `${lines.join("\n")}\n`;
}
