/** A transformation of a program. It keeps every result, and is verified when it is done. */
import type { Op } from "../../dsl/ops/names.js";
import type { Program } from "../program.js";

export interface Pass {
  readonly name: string;
  readonly run: (program: Program) => Program;
  /** Ops that are gone for good when it is done. */
  readonly gone: ReadonlySet<Op>;
}
