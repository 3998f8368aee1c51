/** Element types in memory: their names in the text of kernels. */
import type { BufferDtype } from "../schedule/plan.js";

export const TYPES: Readonly<Record<BufferDtype, string>> = {
  f32: "float",
  bf16: "bf16",
  f16: "f16",
  f64: "double",
  i32: "int",
  u32: "unsigned",
};
