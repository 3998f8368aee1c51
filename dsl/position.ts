/** Where on a stack the user's file is. */
import { mappedStack } from "./copies.js";
import type { SourcePosition } from "./errors.js";

/** `at f (file:///a.ts:1:2)`, `at /a.ts:1:2`, or the `file:///a.ts:1` above the message of an error that V8 finds before anything runs. */
const FRAME = /^(?:at (?:async )?(?:.*? \()?)?((?:file:\/\/|\/|[A-Za-z]:[\\/]).*?):(\d+)(?::(\d+))?\)?$/;

function positionOn(stack: string, ours: readonly string[]): SourcePosition | undefined {
  const found = firstOn(stack, ours);
  return found && firstOn(mappedStack(stack, found.file), ours);
}

function firstOn(stack: string, ours: readonly string[]): SourcePosition | undefined {
  for (const line of stack.split("\n")) {
    const [, place, row, column] = FRAME.exec(line.trim()) ?? [];
    if (place === undefined) continue;
    const file = place.startsWith("file:") ? pathOf(place) : place;
    if (!ours.some((folder) => file.startsWith(folder))) return { file, line: Number(row), column: Number(column ?? 1) };
  }
  return undefined;
}

function pathOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname);
}

const HERE = pathOf(new URL(".", import.meta.url).href);
/** This folder as it runs, and as source maps name it. */
const OURS = [HERE, HERE.replace(/\/dist\/dsl\/$/, "/dsl/")];

/** Where something was thrown: the innermost place in none of the folders `ours` (absolute paths that end in a slash), else unknown. */
export function thrownPosition(error: unknown, ours: readonly string[] = OURS): SourcePosition | undefined {
  return error instanceof Error && typeof error.stack === "string" ? positionOn(error.stack, ours) : undefined;
}

/** The innermost frame that lies outside of this folder: the user's file. */
export function callerPosition(): SourcePosition | undefined {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  Error.captureStackTrace(holder);
  Error.stackTraceLimit = limit;
  return positionOn(holder.stack ?? "", OURS);
}
