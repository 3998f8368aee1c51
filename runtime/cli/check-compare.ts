/** Comparing what came out with what was wanted, for `lossc check`. */

export type Compared =
  | "gradient with finite differences"
  | "loss with reference"
  | "logprobs with reference"
  | "gradient with reference";

/** The worst of one comparison. */
export interface Comparison {
  readonly case: string;
  readonly device: string;
  readonly compared: Compared;
  /** Where the worst is: the token, and for a gradient the entry of its row. */
  readonly token: number | null;
  readonly entry: number | null;
  readonly value: number;
  readonly wanted: number;
  /** |value − wanted| in units of what is tolerated: up to 1 is well. */
  readonly error: number;
  readonly ok: boolean;
  /** What was not compared, and why; null where everything was. */
  readonly note: string | null;
}

export interface Tolerance {
  /** Of the value wanted. */
  readonly relative: number;
  /** Of the scale of its kind. */
  readonly ofScale: number;
}

export interface CompareOptions {
  readonly case: string;
  readonly device: string;
  readonly compared: Compared;
  readonly tolerance: Tolerance;
  /** Entries to a token; null for a scalar. */
  readonly width: number | null;
  /** What values of this kind are like; the greatest that is wanted where it is left out. */
  readonly scale?: number;
  /** The least that the scale may be. */
  readonly floor?: number;
  /** Values that are not compared. */
  readonly skip?: (i: number) => boolean;
  readonly note?: string | null;
}

/** The worst of the values; each may be near any of its alternatives. */
export function worst(
  values: ArrayLike<number>,
  alternatives: readonly ArrayLike<number>[],
  options: CompareOptions,
): Comparison {
  const { tolerance, width, floor = 0, skip = () => false, note = null } = options;
  const finite = Array.from(alternatives[0] as ArrayLike<number>, Math.abs).filter(Number.isFinite);
  const slack = tolerance.ofScale * Math.max(1e-3, floor, options.scale ?? Math.max(0, ...finite));
  const base = { case: options.case, device: options.device, compared: options.compared, note };
  let found: Comparison | null = null;
  for (let i = 0; i < values.length; i++) {
    if (skip(i)) continue;
    const value = values[i] as number;
    const [error, wanted] = alternatives
      .map((alternative) => alternative[i] as number)
      .map((right) => [distance(value, right, tolerance.relative, slack), right] as const)
      .reduce((best, other) => (other[0] < best[0] ? other : best));
    if (found !== null && error <= found.error) continue;
    const token = width === null ? null : Math.floor(i / width);
    const entry = width === null || width === 1 ? null : i % width;
    found = { ...base, token, entry, value, wanted, error, ok: error <= 1 };
    // A NaN is worse than everything.
    if (Number.isNaN(error)) break;
  }
  return found ?? { ...base, token: null, entry: null, value: 0, wanted: 0, error: 0, ok: true };
}

/** Infinities and NaN are right where they are wanted. */
function distance(value: number, wanted: number, relative: number, slack: number): number {
  if (Object.is(value, wanted) || value === wanted) return 0;
  return Math.abs(value - wanted) / (relative * Math.abs(wanted) + slack);
}

/** A comparison that could not be made: it failed, or there was nothing to compare. */
export function without(options: Pick<CompareOptions, "case" | "device" | "compared">, ok: boolean, note: string): Comparison {
  return {
    ...options,
    token: null,
    entry: null,
    value: Number.NaN,
    wanted: Number.NaN,
    error: ok ? 0 : Number.POSITIVE_INFINITY,
    ok,
    note,
  };
}
