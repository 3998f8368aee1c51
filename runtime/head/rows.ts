/** Which tokens of a call have a row of logits, and which of them reach the gradient of the head. */
import { type Chunks, running } from "./chunks.js";

export class Rows {
  /** How many rows the tokens before each one have, up to the rows of all. */
  readonly before: Int32Array;
  /** The token of each row, where masked tokens have none; else null. */
  readonly present: Int32Array | null = null;
  /**
   * Where masked tokens have rows too, for each token itself or −1: what hidden states of masked tokens hold, NaN perhaps, must not meet the 0 of their
   * gradient. Null where no token is masked.
   */
  readonly cleared: Int32Array | null = null;

  /** `weights`: those of all tokens, as the kernels see them; null where they are 1. `skips`: masked tokens are left out. */
  constructor(tokens: number, weights: ArrayLike<number> | null, skips: boolean) {
    const live = Uint8Array.from({ length: tokens }, (_, t) => Number(weights === null || weights[t] !== 0));
    const masked = live.includes(0);
    this.before = running(masked && skips ? live : new Uint8Array(tokens).fill(1));
    if (!masked) return;
    const own = Int32Array.from(live, (is, t) => (is ? t : -1));
    if (skips) this.present = own.filter((t) => t >= 0);
    else this.cleared = own;
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
