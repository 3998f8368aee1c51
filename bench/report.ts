/** Measurements as ratios: in words, and as bars. */
import type { Failure, LossTiming, Measured, Timing } from "./measure.js";
import type { PeerReport } from "./peers.js";
import { median } from "./race.js";
import { TWINS } from "./shapes.js";

export interface Line {
  readonly name: string;
  readonly milliseconds: number;
  readonly gigabytesPerSecond: number;
  /** Times a copy of as many bytes, timed in the same run. */
  readonly timesCopy: number;
  /** Upper bound of `timesCopy`; null where there is none. */
  readonly ceiling: number | null;
  /** Whether lossc computed it. */
  readonly own: boolean;
  /** Further remarks. */
  readonly more: string;
}

/** A number that is no time of a shape, of several rounds. */
export interface Figure {
  readonly name: string;
  readonly unit: "ms" | "µs" | "×";
  readonly values: readonly number[];
  readonly atMost?: number | null;
  readonly atLeast?: number | null;
}

/** The figures of one shape; the faster copy is the yardstick. A peer is compared with a copy of the bytes that lossc moves for the same loss. */
export function linesOf({ copies, losses, peers }: Measured): Line[] {
  const perByte = Math.min(...copies.map(({ bytes, milliseconds }) => median(milliseconds) / bytes));
  const line = (timing: Timing, yardstick: number, rest: Pick<Line, "ceiling" | "own" | "more">): Line => {
    const time = median(timing.milliseconds);
    return {
      name: timing.name,
      milliseconds: time,
      gigabytesPerSecond: timing.bytes / time / 1e6,
      timesCopy: time / (yardstick * perByte),
      ...rest,
    };
  };
  const others = { ceiling: null, own: false, more: "" };
  return [
    ...copies.map((copy) => line(copy, copy.bytes, others)),
    ...losses.flatMap((loss) => [
      line(loss, loss.yardstick, { ...ofLoss(loss, loss.yardstick * perByte), own: true }),
      ...(peers?.timings ?? [])
        .filter((timing) => timing.loss === loss.name)
        .map(({ peer, milliseconds }) => {
          const more = `, ${(median(milliseconds) / median(loss.milliseconds)).toFixed(1)} × ${loss.name}`;
          return line({ name: `${loss.name}: ${peer}`, bytes: loss.bytes, milliseconds }, loss.yardstick, { ...others, more });
        }),
    ]),
  ];
}

/** `copy`: milliseconds of the copy that a loss is compared with. */
function ofLoss({ milliseconds, launches, target }: LossTiming, copy: number): Pick<Line, "ceiling" | "more"> {
  const alone = median(launches.milliseconds);
  const kernels = `, kernels alone ${alone.toFixed(2)} ms (${(alone / copy).toFixed(2)} ×)`;
  if (target === null) return { ceiling: null, more: kernels };
  if ("timesCopy" in target) return { ceiling: target.timesCopy, more: `, at most ${target.timesCopy}${kernels}` };
  const beyond = (time: number) => `copy ${time < copy ? "-" : "+"} ${Math.abs(1000 * (time - copy)).toFixed(0)} µs`;
  return {
    ceiling: (copy + target.microseconds / 1000) / copy,
    more: `, ${beyond(median(milliseconds))}, at most + ${target.microseconds} µs${kernels}, ${beyond(alone)}`,
  };
}

/** Ratios between losses of one shape: a user's loss beside the built-in, and torch.compile on the CPU. */
export function figuresOf({ tokens, vocab, losses, peers }: Measured, device: string): Figure[] {
  const figures: Figure[] = [];
  const timesOf = (name: string) => losses.find((loss) => loss.name === name)?.milliseconds;
  const [custom, builtin] = [timesOf(TWINS.custom), timesOf(TWINS.builtin)];
  const at = `T ${tokens} × V ${vocab}`;
  if (custom && builtin)
    figures.push({
      name: `${TWINS.custom} beside ${TWINS.builtin}, ${at}`,
      unit: "×",
      // Ratios are taken per round, since a slow phase of the machine affects both.
      values: custom.map((milliseconds, round) => milliseconds / (builtin[round] as number)),
      atMost: 1.03,
      atLeast: 0.97,
    });
  for (const { loss, peer, milliseconds } of peers?.timings ?? []) {
    const own = timesOf(loss);
    if (!own || !peer.endsWith("torch.compile")) continue;
    const promised = device === "cpu" && losses.some(({ name, target }) => name === loss && target !== null);
    const atLeast = promised ? 8 : null;
    figures.push({
      name: `torch.compile beside ${loss}, ${at}`,
      unit: "×",
      values: [median(milliseconds) / median(own)],
      atLeast,
    });
  }
  return figures;
}

/** Of the names in a table. */
export const WIDTH = 44;

/** One shape as a table of text. */
export function tableOf(measured: Measured): string {
  const { tokens, vocab, dtype, peers, failed } = measured;
  const rows = linesOf(measured).map(({ name, milliseconds, gigabytesPerSecond, timesCopy, more }) => {
    const figures = `${milliseconds.toFixed(2).padStart(9)} ms ${gigabytesPerSecond.toFixed(1).padStart(7)} GB/s ${timesCopy.toFixed(2).padStart(7)} × copy`;
    return `  ${name.padEnd(WIDTH)} ${figures}${more}`;
  });
  return ["", `T ${tokens} × V ${vocab}, ${dtype}, in place`, ...rows, ...notesOf(failed, peers), ""].join("\n");
}

/** The losses and peers that were not timed, are absent or failed. */
export function notesOf(failed: readonly Failure[], peers: PeerReport | null): string[] {
  return [
    ...failed.map(({ name, problem }) => `  ${name} was not timed: ${problem}`),
    ...Object.entries(peers?.absent ?? {}).map(([name, why]) => `  ${name} is absent: ${why}`),
    ...(peers?.failed ?? []).map(({ loss, peer, problem }) => `  ${loss}: ${peer} failed: ${problem}`),
  ];
}

export function figureLines(figures: readonly Figure[]): string {
  const lines = figures.map(({ name, unit, values, atMost, atLeast }) => {
    const value = median(values);
    const bounds = [...(atLeast == null ? [] : [`at least ${atLeast}`]), ...(atMost == null ? [] : [`at most ${atMost}`])];
    return `  ${name.padEnd(60)} ${value.toFixed(2).padStart(9)} ${[unit, ...bounds].join(", ")}`;
  });
  return ["", ...lines, ""].join("\n");
}
