/** Which tokens of a call have a row of logits. */
import { type Chunks, running } from "./chunks.js";

export class RowMap {
  /** How many rows the tokens before each one have, up to the rows of all. */
  readonly before: Int32Array;
  /** The token of each row, where masked tokens have none; else null. */
  readonly present: Int32Array | null = null;

  /** `weights`: those of all tokens, as the kernels see them, where tokens of weight 0 are left out; else null. */
  constructor(tokens: number, weights: ArrayLike<number> | null) {
    const live = Uint8Array.from({ length: tokens }, (_, t) => Number(weights === null || weights[t] !== 0));
    this.before = running(live);
    if (live.includes(0)) this.present = Int32Array.from(live.keys()).filter((t) => live[t]);
  }

  /** For each token its row, counted within its chunk, or −1. */
  within({ list }: Chunks): Int32Array {
    const rows = new Int32Array(this.before.length - 1);
    for (const chunk of list) {
      const { first, last } = chunk.range("token");
      const base = this.before[first] as number;
      for (let t = first; t < last; t++) {
        const row = this.before[t] as number;
        rows[t] = (this.before[t + 1] as number) > row ? row - base : -1;
      }
    }
    return rows;
  }
}
