/** The one error class of lossc, and its codes. */
import { printable } from "./printable.js";

/** Every code that a {@link LosscError} can have; docs/errors.md says what each means. */
export const ERROR_CODES = [
  "USAGE",
  "LOSS_UNKNOWN",
  "CONFIG_UNKNOWN",
  "CONFIG_INVALID",
  "INPUT_MISSING",
  "INPUT_UNKNOWN",
  "INPUT_LENGTH",
  "INPUT_DTYPE",
  "INPUT_OVERLAP",
  "TARGET_OUT_OF_RANGE",
  "NON_FINITE",
  "SPACE_MISMATCH",
  "OPERATOR_ON_EXPR",
  "UNSUPPORTED_SYNTAX",
  "COMPILER_NOT_FOUND",
  "COMPILE_FAILED",
  "DEVICE_NOT_FOUND",
  "DEVICE_OUT_OF_MEMORY",
  "DEVICE_FAULT",
  "DISPOSED",
  "ABORTED",
] as const;

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Where in the user's source a mistake lies; lines and columns count from 1. */
export interface SourcePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Fields of a {@link LosscError} besides its code and message. */
export interface ErrorDetails {
  readonly cause?: unknown;
  readonly position?: SourcePosition | undefined;
  /** The lines around the position, with a marker. */
  readonly frame?: string | undefined;
  /** The compiler's output. */
  readonly log?: string | undefined;
  /** Path of the generated text. */
  readonly text?: string | undefined;
}

/** The error of every mistake that lossc finds. `code` is stable; the message names the offending thing and a way out. */
export class LosscError extends Error {
  override readonly name = "LosscError";
  readonly position: SourcePosition | undefined;
  readonly frame: string | undefined;
  readonly log: string | undefined;
  readonly text: string | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(printable(message), "cause" in details ? { cause: details.cause } : undefined);
    this.position = details.position;
    this.frame = details.frame;
    this.log = details.log;
    this.text = details.text;
  }
}
