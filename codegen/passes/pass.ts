/** A transformation of a program. It keeps every result, and is verified when it is done. */
import type { Op } from "../../dsl/ops/names.js";
import type { Program } from "../program.js";
import type { RowKernel } from "./rows/record.js";

/** Is shown what every pass leaves: for people, and for tests. */
export interface Observer {
  readonly program?: (pass: string, program: Program) => void;
  /** The work of a sweep on rows, by the name of its kernel. */
  readonly rows?: (kernel: string, pass: string, rows: RowKernel) => void;
}

export interface Pass {
  readonly name: string;
  readonly run: (program: Program) => Program;
  /** Ops that are gone for good when it is done. */
  readonly gone: ReadonlySet<Op>;
}
