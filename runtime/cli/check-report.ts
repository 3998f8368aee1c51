/** The report of `lossc check` for people: the worst of each case on each device, and the values that were left out. */
import { printableName } from "../../dsl/printable.js";
import { type Comparison, countsOf, type Outcome, outcomeOf } from "./check-compare.js";
import { table } from "./stream.js";

const HEADER = ["", "case", "device", "compared", "error", "the worst there (an error of 1 is just tolerated)"];

export function reportText(loss: string, seed: number, comparisons: readonly Comparison[]): string {
  const rows = worstOfEach(comparisons).map((comparison) => [
    MARKS[comparison.outcome],
    comparison.case,
    comparison.device,
    comparison.compared,
    comparison.outcome === "not comparable" ? "–" : comparison.error.toPrecision(2),
    placeOf(comparison),
  ]);
  const notes = [...new Set(comparisons.flatMap((comparison) => noteOf(comparison)))];
  return `${printableName(loss)}, seed ${seed}: ${verdictOf(comparisons)}\n${table([HEADER, ...rows])}${notes.map((note) => `  ${note}\n`).join("")}`;
}

const MARKS: Readonly<Record<Outcome, string>> = {
  "within tolerance": "ok",
  wrong: "WRONG",
  "not comparable": "not comparable",
};

/** The outcome in one line, with how many comparisons had which. */
function verdictOf(comparisons: readonly Comparison[]): string {
  const { within, wrong, atKink, notFinite } = countsOf(comparisons);
  const reasons = [atKink > 0 && `${atKink} at a kink`, notFinite > 0 && `${notFinite} not finite`].filter(Boolean).join(", ");
  const others = `${within} within tolerance, ${atKink + notFinite} not comparable${reasons && ` (${reasons})`}`;
  const outcome = outcomeOf(comparisons);
  if (outcome === "wrong")
    return `NOT everything is within tolerance: of ${comparisons.length} comparisons ${wrong} wrong, ${others}`;
  if (outcome === "not comparable") return `nothing is wrong, but not everything could be compared: ${others}`;
  return `everything is within tolerance: ${within} comparisons`;
}

/** The worst of each case, in the order of cases: a wrong comparison before one that could not be made, and that before one within tolerance. */
function worstOfEach(comparisons: readonly Comparison[]): Comparison[] {
  const found = new Map<string, Comparison>();
  for (const comparison of comparisons) {
    const key = `${comparison.case}/${comparison.device}`;
    const known = found.get(key);
    if (known === undefined || badness(comparison) > badness(known)) found.set(key, comparison);
  }
  const cases = [...new Set(comparisons.map((comparison) => comparison.case))];
  return [...found.values()].sort((a, b) => cases.indexOf(a.case) - cases.indexOf(b.case));
}

function badness({ outcome, error }: Comparison): number {
  if (outcome === "not comparable") return 1.5;
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : outcome === "wrong" ? 1 + error : error;
}

function placeOf({ outcome, reason, token, entry, value, wanted }: Comparison): string {
  if (outcome === "not comparable") return reason ?? "";
  const place = token === null ? "" : `token ${token}${entry === null ? "" : `, entry ${entry}`}: `;
  return `${place}${digits(value)}, wanted ${digits(wanted)}`;
}

/** Enough to see where float32 ends. */
const digits = (x: number): string => String(Number(x.toPrecision(9)));

function noteOf({ case: name, device, compared, note }: Comparison): string[] {
  return note === null
    ? []
    : [`${name}, ${compared === "gradient with finite differences" ? "finite differences" : device}: ${note}`];
}
