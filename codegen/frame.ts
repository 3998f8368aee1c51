/** Code frames for mistakes that tracing finds. */
import { readFileSync } from "node:fs";
import { codeFrameColumns } from "@babel/code-frame";
import { LosscError, type SourcePosition } from "../dsl/errors.js";

/** Runs it; a `LosscError` with a position but no frame gets one, and both in its message. */
export function withFrame<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof LosscError) || !error.position || error.frame !== undefined) throw error;
    const frame = frameAt(error.position);
    const { file, line, column } = error.position;
    const message = `${error.message}\n  at ${file}:${line}:${column}${frame ? `\n${frame}` : ""}`;
    throw new LosscError(error.code, message, { cause: error, position: error.position, frame });
  }
}

function frameAt({ file, line, column }: SourcePosition): string | undefined {
  try {
    return codeFrameColumns(readFileSync(file, "utf8"), { start: { line, column } }, { linesAbove: 1, linesBelow: 1 });
  } catch {
    return undefined; // the source is not on this machine
  }
}
