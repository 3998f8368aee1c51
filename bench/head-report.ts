/** Measurements from hidden states as ratios, for people. */
import { bytesOf } from "../runtime/devices/dtypes.js";
import type { HeadMeasured } from "./head.js";
import { median } from "./race.js";
import { type Figure, notesOf, WIDTH } from "./report.js";

/** The part of all logits that a call may take beyond inputs and gradients. */
const MOST_MEMORY = 1 / 8;

/** Milliseconds of what a loss from hidden states is compared with. */
function yardstickOf({ products, sweep, yardstick }: HeadMeasured): number {
  return median(products) + (yardstick === "three products" ? 0 : median(sweep));
}

/** Bytes of all logits. */
function logitsBytes({ tokens, vocab, dtype }: HeadMeasured): number {
  return tokens * vocab * bytesOf(dtype);
}

/** Times and peak memory of losses from hidden states, as ratios. */
export function headFiguresOf(measured: HeadMeasured): Figure[] {
  const { yardstick, atMost, losses, peers } = measured;
  const unit = "×";
  return losses.flatMap(({ name, milliseconds, peakBytes }) => [
    {
      name: `${name} from hidden states beside ${yardstick}`,
      unit,
      values: [median(milliseconds) / yardstickOf(measured)],
      atMost,
    },
    ...(peakBytes === null
      ? []
      : [
          {
            name: `${name} from hidden states, peak memory beside all logits`,
            unit,
            values: [peakBytes / logitsBytes(measured)],
            // Small shapes have chunks of a fixed size.
            atMost: atMost === null ? null : MOST_MEMORY,
          } as const,
        ]),
    ...(peers?.timings ?? [])
      .filter(({ loss }) => loss === name)
      .map(({ peer, milliseconds: taken }) => ({
        name: `${peer} beside ${name} from hidden states`,
        unit,
        values: [median(taken) / median(milliseconds)],
      })),
  ]) as Figure[];
}

/** Measurements from hidden states as a table of text. */
export function headTableOf(measured: HeadMeasured): string {
  const { tokens, width, vocab, dtype, products, sweep, yardstick, losses, peers, failed } = measured;
  const line = (name: string, milliseconds: readonly number[], peak: number | null | undefined) => {
    const time = median(milliseconds);
    const times = `${time.toFixed(2).padStart(9)} ms ${(time / yardstickOf(measured)).toFixed(2).padStart(7)} × ${yardstick}`;
    const share =
      peak == null ? "" : `, peak ${(peak / 1e6).toFixed(1)} MB (${(peak / logitsBytes(measured)).toFixed(3)} of all logits)`;
    return `  ${name.padEnd(WIDTH)} ${times}${share}`;
  };
  const lines = losses.flatMap(({ name, milliseconds, peakBytes }) => [
    line(name, milliseconds, peakBytes),
    ...(peers?.timings ?? [])
      .filter(({ loss }) => loss === name)
      .map((timing) => line(`${name}: ${timing.peer}`, timing.milliseconds, timing.peak_bytes)),
  ]);
  const untold = losses.every(({ peakBytes }) => peakBytes === null);
  return [
    "",
    `T ${tokens} × H ${width} × V ${vocab}, ${dtype}, from hidden states`,
    line("three products, each whole", products, null),
    line("one sweep over all logits, in place", sweep, null),
    ...lines,
    ...(untold ? ["  peak memory was not read: only Linux reports it, for the process of a CPU"] : []),
    ...notesOf(failed, peers),
    "",
  ].join("\n");
}
