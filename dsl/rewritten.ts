/** Which files the front end has rewritten, by the names that they have on a stack. */
import { rewrittenHere as files, stackIsMapped } from "./copies.js";
import { callerPosition } from "./position.js";

/** Files of such a name say that they are written with native operators. */
const LOSS_FILE = /\.loss\.[cm]?[jt]sx?$/;

/** Whether a file is one whose operators are rewritten, by its name. */
export function isLossFile(path: string): boolean {
  return /\.loss\.m?[jt]s$/.test(path);
}

/**
 * A rewritten file calls this before anything else of it runs, with the place of its first statement in the source. A stack that names another
 * place is one of the translated text.
 */
export function rewritten(line?: number, column?: number): void {
  const position = callerPosition();
  if (position === undefined) return;
  files.add(position.file);
  stackIsMapped(position.file, line === undefined || (position.line === line && position.column === column));
}

/** Whether the file was rewritten, so that its operators work on expressions. */
export function isRewritten(file: string): boolean {
  return files.has(file);
}

/** Whether the file ought to have been rewritten, and was not. */
export function isUnrewritten(file: string): boolean {
  return LOSS_FILE.test(file) && !files.has(file);
}
