/** The fuzzer interface and the runner of one round: from one seed, on one device, with shrinking of failures. */
import fc from "fast-check";

/** Cases to draw, and what must hold of each. */
export interface Round<Case> {
  readonly cases: fc.Arbitrary<Case>;
  /** Throws where something does not hold. */
  check(one: Case): Promise<void>;
  close(): Promise<void>;
}

export interface Fuzzer<Case> {
  /** Cases of one round. */
  readonly runs: number;
  /** Opens the device by its name and makes ready what the cases share. The same seed makes the same ready. */
  open(device: string, seed: number): Promise<Round<Case>>;
}

export interface RoundOptions {
  readonly device: string;
  readonly seed: number;
  /** At most so many cases; left out: as many as a round of the fuzzer has. */
  readonly runs?: number;
  /** In `Date.now()`: no case but the first is begun later. */
  readonly until?: number;
  /** Called with each case before it runs, so that a case that ends the process is known. */
  readonly before?: (text: string) => void;
}

export interface RoundResult {
  readonly cases: number;
  /** The counterexample, shrunk, and why it is one; null where all held. */
  readonly failure: string | null;
}

/** A case that takes longer hangs. */
const CASE_LIMIT_MS = 60_000;
/** Where a smaller counterexample is still looked for after so long, the one at hand will do. */
const SHRINK_LIMIT_MS = 60_000;

/** One round, from a device that is opened to one that is disposed of. */
export async function runRound<Case>(fuzzer: Fuzzer<Case>, options: RoundOptions): Promise<RoundResult> {
  const { device, seed, runs = fuzzer.runs, before } = options;
  let until = options.until ?? Number.POSITIVE_INFINITY;
  let cases = 0;
  let failed = false;
  const warnings: Error[] = [];
  const warned = (warning: Error) => void (warning.name === "ExperimentalWarning" || warnings.push(warning));
  process.on("warning", warned);
  try {
    const round = await fuzzer.open(device, seed);
    const property = fc.asyncProperty(round.cases, async (one) => {
      // One at least, however little time there is.
      if (cases > 0 && Date.now() >= until) return;
      if (!failed) cases++;
      before?.(fc.stringify(one));
      warnings.length = 0;
      try {
        await round.check(one);
        // Node warns in the next tick.
        await new Promise(setImmediate);
        if (warnings[0]) throw warnings[0];
      } catch (error) {
        if (!failed) until = Date.now() + SHRINK_LIMIT_MS;
        failed = true;
        throw error;
      }
    });
    const details = await fc.check(property, { seed, numRuns: runs, timeout: CASE_LIMIT_MS, includeErrorInReport: true });
    await round.close();
    const report = details.failed ? String(await fc.asyncDefaultReportMessage(details)) : null;
    return { cases, failure: report === null ? null : report.replace(/\n\nHint:.*$/s, "") };
  } finally {
    process.off("warning", warned);
  }
}

/** Bits of numbers, for comparing: a NaN is itself, and 0 is not −0. */
export function bitsOf(numbers: ArrayBufferView): string {
  return Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength).toString("hex");
}

/** All numbers of a result, bit for bit. What lies on a device is not read. */
export function everyNumber(result: object): string {
  return JSON.stringify(result, (_, value) => {
    if (ArrayBuffer.isView(value)) return bitsOf(value);
    return typeof value === "number" ? (Object.is(value, -0) ? "-0" : String(value)) : value;
  });
}
