/** Comparisons of results with expected values, for `lossc check`. */

export type Compared =
  | "gradient with finite differences"
  | "loss with reference"
  | "logprobs with reference"
  | "gradient with reference";

/** The outcome of a comparison. One of which nothing could be compared says nothing about the loss. */
export type Outcome = "within tolerance" | "wrong" | "not comparable";

/** Why values were not compared. */
export type Reason = "at a kink" | "not finite";

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
  /** |value − wanted| in units of the tolerance: up to 1 is well. */
  readonly error: number;
  readonly outcome: Outcome;
  /** Why values were left out; null where none was. */
  readonly reason: Reason | null;
  /** Values that were left out, of how many. */
  readonly leftOut: number;
  readonly of: number;
  /** The same in words. */
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
  /** Magnitude of values of this kind; where it is left out, that of the greatest value wanted. */
  readonly scale?: number;
  /** The least that the scale may be. */
  readonly floor?: number;
  /** Values at a kink, which have nothing to be compared with. */
  readonly skip?: (i: number) => boolean;
  /** Values beside a kink of which not every side is known: one that is near no alternative is not compared. */
  readonly undecided?: (i: number) => boolean;
  /** Why values at a kink are not compared. */
  readonly why?: string;
}

const SIDES = ", where float32 and float64 may be on different sides: not compared";
const never = () => false;

/** The worst of the values; each may be near any of its alternatives. */
export function worst(
  values: ArrayLike<number>,
  alternatives: readonly ArrayLike<number>[],
  options: CompareOptions,
): Comparison {
  const { tolerance, width, floor = 0, skip = never, undecided = never, why = SIDES } = options;
  const finite = Array.from(alternatives[0] as ArrayLike<number>, (x, i) => (skip(i) ? 0 : Math.abs(x))).filter(Number.isFinite);
  const slack = tolerance.ofScale * Math.max(1e-3, floor, options.scale ?? Math.max(0, ...finite));
  let found: Pick<Comparison, "token" | "entry" | "value" | "wanted" | "error"> | null = null;
  let leftOut = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    const [error, wanted] = alternatives
      .map((alternative) => alternative[i] as number)
      .map((right) => [distance(value, right, tolerance.relative, slack), right] as const)
      .reduce((best, other) => (other[0] < best[0] ? other : best));
    if (skip(i) || (!(error <= 1) && undecided(i))) {
      leftOut++;
      continue;
    }
    // A NaN is worse than everything.
    if (found !== null && (Number.isNaN(found.error) || error <= found.error)) continue;
    const token = width === null ? null : Math.floor(i / width);
    const entry = width === null || width === 1 ? null : i % width;
    found = { token, entry, value, wanted, error };
  }
  const of = values.length;
  const reason = leftOut > 0 ? "at a kink" : null;
  const stands = width === null ? "the loss stands" : `${leftOut} of ${of} logits stand`;
  const note = leftOut > 0 ? `${stands} at a kink${why}` : null;
  const about = { case: options.case, device: options.device, compared: options.compared, reason, leftOut, of, note } as const;
  if (found !== null) return { ...about, ...found, outcome: found.error <= 1 ? "within tolerance" : "wrong" };
  return { ...about, ...NOWHERE, outcome: leftOut > 0 ? "not comparable" : "within tolerance" };
}

const NOWHERE = { token: null, entry: null, value: Number.NaN, wanted: Number.NaN, error: 0 } as const;

/** Infinities and NaN are right where they are wanted. */
function distance(value: number, wanted: number, relative: number, slack: number): number {
  if (Object.is(value, wanted) || value === wanted) return 0;
  return Math.abs(value - wanted) / (relative * Math.abs(wanted) + slack);
}

/** A comparison that could not be made, since the expected values are not finite. */
export function notFinite(options: Pick<CompareOptions, "case" | "device" | "compared">, of: number, note: string): Comparison {
  return { ...options, ...NOWHERE, outcome: "not comparable", reason: "not finite", leftOut: of, of, note };
}

/** How many comparisons had which outcome, and of those that could not be made, why. */
export function countsOf(comparisons: readonly Comparison[]): {
  readonly within: number;
  readonly wrong: number;
  readonly atKink: number;
  readonly notFinite: number;
} {
  const count = (outcome: Outcome, reason?: Reason) =>
    comparisons.filter((one) => one.outcome === outcome && (reason === undefined || one.reason === reason)).length;
  return {
    within: count("within tolerance"),
    wrong: count("wrong"),
    atKink: count("not comparable", "at a kink"),
    notFinite: count("not comparable", "not finite"),
  };
}

/** The outcome of all of them: the worst of any, where a comparison that could not be made is worse than one within tolerance. */
export function outcomeOf(comparisons: readonly Comparison[]): Outcome {
  const { wrong, atKink, notFinite } = countsOf(comparisons);
  if (wrong > 0) return "wrong";
  return atKink + notFinite > 0 ? "not comparable" : "within tolerance";
}
