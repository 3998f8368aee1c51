/** Element types in memory: their names in the text of kernels, and their sizes. */
import type { BufferDtype, RowDtype } from "../schedule/plan.js";

export const TYPES: Readonly<Record<BufferDtype, string>> = {
  f32: "float",
  bf16: "bf16",
  f16: "f16",
  f64: "double",
  i32: "int",
  u32: "unsigned",
};

/** In the order in which error messages list them. */
export const BYTES = { f32: 4, bf16: 2, f16: 2, f64: 8, i32: 4, u32: 4 } as const satisfies Record<BufferDtype, number>;

/** dtypes that rows and other inputs may have, in the order in which the command line lists them. */
export const LOGITS_DTYPES = ["f32", "bf16", "f16"] as const satisfies readonly RowDtype[];
