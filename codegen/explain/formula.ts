/** A loss and its gradient as formulas. */
import type { LossDefinition } from "../../dsl/define-loss.js";
import type { Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { ZERO } from "../../dsl/ops/index.js";
import { weights } from "../../dsl/policy.js";
import type { Space } from "../../dsl/spaces.js";
import type { Traced } from "../../dsl/trace.js";
import { spellingOut } from "../loss-program.js";
import type { Program } from "../program.js";
import { free, namesOf } from "./names.js";
import { Notation } from "./notation.js";
import { fromProduct, productOf, times } from "./products.js";
import { type RowTerm, rowTerms } from "./rows.js";
import { SYMBOLS } from "./symbols.js";
import { tidier } from "./tidy.js";

/** A name and its definition. */
export interface Definition {
  readonly name: string;
  readonly text: string;
  readonly space: Space;
}

export interface Formula {
  /** The terms that are summed into L, a line each. */
  readonly loss: readonly string[];
  readonly gradient: string;
  /** In the order in which they can be read. */
  readonly definitions: readonly Definition[];
  /** Letters that every loss shares, those that occur. */
  readonly legend: readonly { readonly symbol: string; readonly meaning: string }[];
  readonly notes: readonly string[];
}

/** The expressions of a formula: for writing, drawing and testing. */
export interface Tidied {
  readonly terms: readonly Expression[];
  readonly rows: readonly RowTerm[];
  readonly names: Map<Expression, string>;
  /** The expressions of the compiler as a person reads them. */
  readonly tidy: (x: Expression) => Expression;
}

export function tidied(definition: LossDefinition, traced: Traced, program: Program): Tidied {
  const shown = tidier({ stops: true });
  const tidy = tidier({ origin: originOf(traced) });
  // A loss per token is multiplied by its weight.
  const terms = traced.terms.map((x) => [x, shown(x)] as const).map(([x, y]) => (isPerToken(x) ? weighted(y) : y));
  const rows = rowTerms(tidy(program.rowGradient ?? ZERO));
  const taken = takenNames(definition);
  const names = namesOf([...terms, ...rows.flatMap(({ factor, row }) => [factor, row])], taken);
  const notation = new Notation(names, taken);
  for (const { factor } of rows) {
    if (!names.has(factor) && notation.factor(factor).length > LONG_FACTOR) names.set(factor, free(notation, ["f", "g"]));
  }
  return { terms, rows, names, tidy };
}

const LONG_FACTOR = 16;

const isPerToken = (x: Expression): boolean => x.space === "token" || x.space === "vocab";
const weighted = (x: Expression): Expression => fromProduct(times(productOf(weights), productOf(x)));

export function takenNames({ inputs, config }: LossDefinition): ReadonlySet<string> {
  return new Set([...Object.keys(inputs), ...Object.keys(config)]);
}

/** The author's reductions, by the expressions into which the compiler spells them out; not sums, counts and means, which read well spelt out. */
function originOf(traced: Traced): ReadonlyMap<Expression, Expression> {
  const reductions = topological(traced.terms).filter((x) => x.op === "reduce" && !PLAIN.has(x.attribute.reduction));
  const spellOut = spellingOut();
  return new Map(reductions.map((x) => [spellOut(x), x]));
}

const PLAIN: ReadonlySet<unknown> = new Set(["sum", "count", "mean"]);

const OVER: Readonly<Record<Space, string>> = {
  vocab: "sum over tokens and entries of ",
  token: "sum over tokens of ",
  sequence: "sum over sequences of ",
  group: "sum over groups of ",
  "sequence × vocab": "sum over sequences and entries of ",
  "group × vocab": "sum over groups and entries of ",
  entry: "sum over entries of ",
  batch: "",
};

export function formulaOf(definition: LossDefinition, traced: Traced, { terms, rows, names }: Tidied): Formula {
  const notation = new Notation(names, takenNames(definition));
  const loss = traced.terms.map((term, i) => `${OVER[term.space]}${notation.text(terms[i] ?? term)}`);
  const gradient = rows.map((term) => rowText(notation, term)).reduce(joined, "") || "0";
  const roots = [...terms, ...rows.flatMap(({ factor, row }) => [factor, row])];
  const definitions = topological(roots).flatMap((x) => {
    const name = names.get(x);
    return name === undefined ? [] : [{ name, text: notation.text(x, { whole: true }), space: x.space }];
  });
  return {
    loss,
    gradient,
    definitions,
    legend: [...SYMBOLS]
      .filter(([symbol]) => symbol === "v" || notation.used.has(symbol))
      .map(([symbol, meaning]) => ({ symbol, meaning })),
    notes: notesOf(notation, roots, loss.join() + gradient + definitions.map(({ text }) => text).join()),
  };
}

function rowText(notation: Notation, { factor, row }: RowTerm): string {
  const { factor: size, powers } = productOf(factor);
  if (powers.size === 0) return notation.text(fromProduct(times(productOf(factor), productOf(row))));
  if (row.op === "constant") return notation.text(fromProduct(times(productOf(factor), productOf(row))));
  const named = notation.isNamed(factor);
  const before = notation.factor(named ? factor : fromProduct({ factor: Math.abs(size), powers }));
  return `${size < 0 && !named ? "−" : ""}${before}·${notation.factor(row)}`;
}

function joined(all: string, next: string): string {
  if (all === "") return next;
  return next.startsWith("−") ? `${all} − ${next.slice(1)}` : `${all} + ${next}`;
}

function notesOf(notation: Notation, roots: readonly Expression[], text: string): string[] {
  const nodes = topological(roots);
  return [
    ...(/\[[^\]]* [<=>≠≤≥] |\[sequence/.test(text.replaceAll(/1\[v = y\]/g, ""))
      ? ["[…] is 1 where it holds and 0 elsewhere"]
      : []),
    ...(notation.ties ? ["where min or max has a tie, each side gets half"] : []),
    ...(nodes.some((x) => x.op === "clamp") ? ["clamp(x, low, high) passes the gradient at its bounds too"] : []),
    ...(nodes.some((x) => x.op === "stopGradient") ? ["stop(…) is held still: no gradient passes"] : []),
    ...(nodes.some((x) => x.op === "reduce" && x.space !== "token") ? ["reductions see only tokens of non-zero weight"] : []),
  ];
}
