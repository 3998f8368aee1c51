/** Which files of the user's were loaded, and where on a stack they are. */
import { fileURLToPath } from "node:url";
import type { SourcePosition } from "../../dsl/errors.js";
import { thrownPosition } from "../../dsl/position.js";

/** Absolute paths of the files that the command line was asked for, in the order in which they were loaded. */
export const loadedFiles: string[] = [];

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** Where in a file that is not lossc's an error was made. */
export function userPosition(error: unknown): SourcePosition | undefined {
  return thrownPosition(error, [PACKAGE]);
}
