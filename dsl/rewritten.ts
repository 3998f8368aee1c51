/** Which files the front end has rewritten, by the names that they have on a stack. */
import { callerPosition } from "./position.js";

const files = new Set<string>();

/** Files of such a name say that they are written with native operators. */
const LOSS_FILE = /\.loss\.[cm]?[jt]sx?$/;

/** Whether a file is one whose operators are rewritten, by its name. */
export function isLossFile(path: string): boolean {
  return /\.loss\.m?[jt]s$/.test(path);
}

/** A rewritten file calls this before anything else of it runs. */
export function rewritten(): void {
  const position = callerPosition();
  if (position !== undefined) files.add(position.file);
}

/** Whether the operators of the file mean what they mean on expressions. */
export function isRewritten(file: string): boolean {
  return files.has(file);
}

/** Whether the file ought to have been rewritten, and was not. */
export function isUnrewritten(file: string): boolean {
  return LOSS_FILE.test(file) && !files.has(file);
}
