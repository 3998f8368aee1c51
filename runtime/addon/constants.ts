/**
 * Constants that the addon and TypeScript share. native/core/constants.h is generated from this file: `npm run docs` writes it, and a test finds it
 * stale.
 */
import type { ErrorCode } from "../../dsl/errors.js";

/** Device memory, and every piece of it that a buffer of a plan gets, starts at a multiple of so many bytes: the widest loads want no more. */
export const MEMORY_ALIGNMENT = 256;

/** Bytes of a field of the argument struct of a kernel: a pointer, an int64 or a float64. */
export const FIELD_BYTES = 8;

/** The codes of the addon's errors, by their names in C++. A `range` fault is a `RangeError`, a `usage` fault a `TypeError`. */
export const NATIVE_CODES = {
  usage: "USAGE",
  range: "USAGE",
  compilerNotFound: "COMPILER_NOT_FOUND",
  compileFailed: "COMPILE_FAILED",
  deviceNotFound: "DEVICE_NOT_FOUND",
  deviceOutOfMemory: "DEVICE_OUT_OF_MEMORY",
  deviceFault: "DEVICE_FAULT",
  disposed: "DISPOSED",
  aborted: "ABORTED",
} as const satisfies Readonly<Record<string, ErrorCode>>;
