/** Errors of file systems, separated from errors of compilers. */
import { LosscError } from "../../dsl/errors.js";
import { StorageError } from "../files/own-folder.js";

/** Messages of compilers about a full disk, and of shells about a limit on file sizes. They are in English, since compilers run with LC_ALL=C. */
const REFUSED =
  /No space left on device|Disk quota exceeded|File too large|File size limit exceeded|Read-only file system|Input\/output error/;

/** The reason why a folder cannot be used, for people; null where the error has another cause. */
export function storageProblem(error: unknown): string | null {
  if (error instanceof StorageError) return error.message;
  if (error instanceof LosscError) return error.code === "COMPILE_FAILED" ? (REFUSED.exec(error.log ?? "")?.[0] ?? null) : null;
  return error instanceof Error && "syscall" in error ? error.message : null;
}
