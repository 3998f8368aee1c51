/** Bytes that kernels move: memory traffic is the cost of a program. */
import { BYTES, type PlanArgument, type PlanBuffer } from "./plan.js";

export interface Traffic {
  /** Per entry of a row: rows read and written. */
  readonly perEntry: number;
  /** Per token, beside its row. */
  readonly perToken: number;
}

/** The bytes that a kernel with these arguments moves. A row is counted once, however many phases visit it: it stays in registers or a cache. */
export function trafficOf(list: readonly PlanArgument[], buffers: readonly PlanBuffer[]): Traffic {
  let [perEntry, perToken] = [0, 0];
  for (const argument of list) {
    const buffer = argument.kind === "buffer" ? (buffers[argument.buffer] as PlanBuffer) : null;
    if (!buffer || !("per" in buffer.extent)) continue;
    if (buffer.extent.per === "token") perToken += BYTES[buffer.dtype];
    if (buffer.extent.per === "row") perEntry += BYTES[buffer.dtype];
  }
  return { perEntry, perToken };
}

/** Bytes of one entry of every row that a kernel with these arguments reads, the leaf first; the row that all tokens share is one of them. */
export function rowBytesOf(list: readonly PlanArgument[], buffers: readonly PlanBuffer[]): number[] {
  return list.flatMap((argument) => {
    const buffer = argument.kind === "buffer" ? (buffers[argument.buffer] as PlanBuffer) : null;
    return buffer?.role === "input" && "per" in buffer.extent && ["row", "entry"].includes(buffer.extent.per)
      ? [BYTES[buffer.dtype]]
      : [];
  });
}
