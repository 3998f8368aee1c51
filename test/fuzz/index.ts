/** The fuzzers by name, and the loop that runs one of them until its time is over. */
import { calls } from "./calls.js";
import { type Fuzzer, type RoundResult, runRound } from "./fuzzer.js";
import { memory } from "./memory.js";
import { shapes } from "./shapes.js";
import { states } from "./states.js";
import { workers } from "./workers.js";

const FUZZERS: Readonly<Record<FuzzerName, Fuzzer<unknown>>> = { calls, shapes, memory, workers, states };

export type FuzzerName = "calls" | "shapes" | "memory" | "workers" | "states";

export function fuzz(name: FuzzerName, options: Parameters<typeof runRound>[1]): Promise<RoundResult> {
  return runRound(FUZZERS[name], options);
}

export interface FuzzOptions {
  readonly seed: number;
  readonly devices: readonly string[];
  /** In `Date.now()`. */
  readonly until: number;
  readonly before: (round: { readonly device: string; readonly seed: number }, text: string) => void;
  /** Called after each round with the number of cases so far. */
  readonly after: (cases: number) => void;
}

/** A round that failed, with what repeats it; null where time was over first. */
export interface Found {
  readonly device: string;
  readonly seed: number;
  readonly failure: string;
}

/** A process settles in so many rounds: what it loads lazily and keeps is there, and its heap has the size that it needs. */
const SETTLED = 6;
const GROWTH_BYTES = 512e6;

/** Rounds on the devices in turn, the first from the seed itself, so that any round can be repeated as a first one. */
export async function fuzzFor(name: FuzzerName, { seed, devices, until, before, after }: FuzzOptions): Promise<Found | null> {
  let cases = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i === 0 || Date.now() < until; i++) {
    const round = { device: devices[i % devices.length] as string, seed: (seed + i) & 0x7fffffff };
    const result = await fuzz(name, { ...round, until, before: (text) => before(round, text) });
    cases += result.cases;
    after(cases);
    if (result.failure !== null) return { ...round, failure: result.failure };
    globalThis.gc?.();
    const { rss } = process.memoryUsage();
    if (i < SETTLED) least = rss;
    else if (rss > least + GROWTH_BYTES) return { ...round, failure: grown(i + 1, least, rss) };
  }
  return null;
}

function grown(rounds: number, from: number, to: number): string {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  return `after ${rounds} rounds the process holds ${megabytes(to)}; after ${SETTLED} it held ${megabytes(from)}`;
}
