/** What `lossc check` prints for people: the worst of each case on each device, and what was left out. */
import { printableName } from "../../dsl/printable.js";
import type { Comparison } from "./check-compare.js";
import { table } from "./stream.js";

const HEADER = ["", "case", "device", "compared", "error", "the worst there (an error of 1 is just tolerated)"];

export function reportText(loss: string, seed: number, comparisons: readonly Comparison[]): string {
  const ok = comparisons.every((comparison) => comparison.ok);
  const verdict = ok ? "everything is within tolerance" : "NOT everything is within tolerance";
  const rows = worstOfEach(comparisons).map((comparison) => [
    comparison.ok ? "ok" : "WRONG",
    comparison.case,
    comparison.device,
    comparison.compared,
    Number.isNaN(comparison.value) && comparison.ok ? "–" : comparison.error.toPrecision(2),
    placeOf(comparison),
  ]);
  const notes = [...new Set(comparisons.flatMap((comparison) => noteOf(comparison)))];
  return `${printableName(loss)}, seed ${seed}: ${verdict}\n${table([HEADER, ...rows])}${notes.map((note) => `  ${note}\n`).join("")}`;
}

/** In the order of cases; what is wrong is never hidden behind something else. */
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

function badness({ ok, error }: Comparison): number {
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : ok ? error : 1 + error;
}

function placeOf({ token, entry, value, wanted }: Comparison): string {
  if (Number.isNaN(value) && Number.isNaN(wanted)) return "not compared";
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
