/** Element types in memory: their names in the text of kernels, and their sizes. */
import { DTYPES } from "../../dsl/dtypes.js";
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

/** Those of rows, which have the dtypes of inputs. */
export const ROW_DTYPES: readonly RowDtype[] = DTYPES;
