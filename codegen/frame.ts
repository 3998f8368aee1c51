/** Code frames for mistakes that tracing finds. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { LosscError, type SourcePosition } from "../dsl/errors.js";
import { isRewritten } from "../dsl/rewritten.js";

const require = createRequire(import.meta.url);

/** Runs it; a `LosscError` with a position but no frame gets one, and both in its message. */
export function withFrame<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw framed(error);
  }
}

/** The error; a `LosscError` with a position but no frame as one that has both in its message. */
export function framed(error: unknown): unknown {
  if (!(error instanceof LosscError) || !error.position || error.frame !== undefined) return error;
  const frame = frameAt(error.position);
  const { file, line, column } = error.position;
  const call = error.code === "OPERATOR_ON_EXPR" ? callFor(error.position) : "";
  const message = `${error.message}${call}\n  at ${file}:${line}:${column}${frame ? `\n${frame}` : ""}`;
  return new LosscError(error.code, message, { cause: error, position: error.position, frame });
}

const CALLS: Readonly<Record<string, string>> = {
  "**": "pow",
  "*": "mul",
  "/": "div",
  "+": "add",
  "-": "sub",
  "<=": "le",
  ">=": "ge",
  "<": "lt",
  ">": "gt",
};

/** The call to write in place of the operator that stands at or behind the position; nothing where it is not known. */
function callFor({ file, line, column }: SourcePosition): string {
  // There every operator that has a call is one already.
  if (isRewritten(file)) return "";
  const text = linesOf(file)?.[line - 1] ?? "";
  const rest = text.slice(column - 1).replace(/\/\/.*$/, "");
  const called = text.slice(0, column - 1).endsWith("Math.") ? /^\w+/.exec(rest)?.[0] : undefined;
  if (called !== undefined) return `; here: ${called}(…) of lossc, where it has one`;
  const sign = /\*\*|<=|>=|=>|[-+*/<>]/.exec(rest);
  // A minus behind nothing that has a value is a sign.
  const before = text.slice(0, column - 1 + (sign?.index ?? 0));
  const isNegative = sign?.[0] === "-" && !(/[\w)\]]\s*$/.test(before) && !/\breturn\s*$/.test(before));
  const name = /^[`$]/.test(rest) ? undefined : isNegative ? "neg" : CALLS[sign?.[0] ?? ""];
  return name ? `; here: ${name}(…)` : "";
}

function linesOf(file: string): string[] | undefined {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return undefined; // the source is not on this machine
  }
}

function frameAt({ file, line, column }: SourcePosition): string | undefined {
  const lines = linesOf(file);
  // Loaded when there is a mistake to show: `import "lossc"` does not wait for it.
  const { codeFrameColumns } = require("@babel/code-frame") as typeof import("@babel/code-frame");
  return lines && codeFrameColumns(lines.join("\n"), { start: { line, column } }, { linesAbove: 1, linesBelow: 1 });
}
