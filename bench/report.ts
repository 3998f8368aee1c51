/** What was measured, as ratios: for people, and as bars. */
import type { LossTiming, Measured, Timing } from "./measure.js";

export interface Line {
  readonly name: string;
  readonly milliseconds: number;
  readonly gigabytesPerSecond: number;
  /** Times a copy of as many bytes, timed in the same run. */
  readonly timesCopy: number;
  /** What `timesCopy` is to stay below; null for what is not lossc's. */
  readonly ceiling: number | null;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

/** The figures of one shape; the faster copy is the yardstick. A peer is compared with a copy of the bytes that lossc moves for the same loss. */
export function linesOf({ copies, losses }: Measured): Line[] {
  const perByte = Math.min(...copies.map(({ bytes, milliseconds }) => median(milliseconds) / bytes));
  const line = ({ name, bytes, milliseconds }: Timing, ceiling: number | null): Line => {
    const time = median(milliseconds);
    return { name, milliseconds: time, gigabytesPerSecond: bytes / time / 1e6, timesCopy: time / (bytes * perByte), ceiling };
  };
  const peers = ({ bytes, name, peer }: LossTiming) =>
    peer && "timings" in peer
      ? peer.timings.map(({ way, milliseconds }) => line({ name: `${name}: ${peer.name}, ${way}`, bytes, milliseconds }, null))
      : [];
  return [...copies.map((copy) => line(copy, null)), ...losses.flatMap((loss) => [line(loss, loss.ceiling), ...peers(loss)])];
}

/** One shape as a table of text. */
export function tableOf(measured: Measured): string {
  const { tokens, vocab, losses } = measured;
  const rows = linesOf(measured).map(({ name, milliseconds, gigabytesPerSecond, timesCopy, ceiling }) => {
    const figures = `${milliseconds.toFixed(2).padStart(9)} ms ${gigabytesPerSecond.toFixed(1).padStart(7)} GB/s ${timesCopy.toFixed(2).padStart(7)} × copy`;
    return `  ${name.padEnd(40)} ${figures}${ceiling === null ? "" : `, at most ${ceiling}`}`;
  });
  const absent = new Set(losses.flatMap(({ peer }) => (peer && "absent" in peer ? [`  PyTorch is absent: ${peer.absent}`] : [])));
  return ["", `T ${tokens} × V ${vocab}, f32, in place`, ...rows, ...absent, ""].join("\n");
}
