/** Errors of file systems, separated from errors of compilers. */
import { LosscError } from "../../dsl/errors.js";
import { StorageError } from "../own-folder.js";

/** A compiler's words, in English since it runs with LC_ALL=C, for a disk that takes no more, and a shell's for a limit on the size of files. */
const REFUSED =
  /No space left on device|Disk quota exceeded|File too large|File size limit exceeded|Read-only file system|Input\/output error/;

/** Why a folder cannot be worked in, in words; null where the error is about something else. */
export function storageProblem(error: unknown): string | null {
  if (error instanceof StorageError) return error.message;
  if (error instanceof LosscError) return error.code === "COMPILE_FAILED" ? (REFUSED.exec(error.log ?? "")?.[0] ?? null) : null;
  return error instanceof Error && "syscall" in error ? error.message : null;
}
