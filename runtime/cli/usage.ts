/** Mistakes in how the command line was used. */
import { LosscError } from "../../dsl/errors.js";

/** A mistake in how the command line was used. */
export function usage(message: string, cause?: unknown): LosscError {
  return new LosscError("USAGE", message, cause === undefined ? {} : { cause });
}
