/** Names for parts that a formula uses more than once. */
import type { Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { pickedOf } from "./nodes.js";
import { NEGATIVE_ENTROPY, Notation } from "./notation.js";
import { isIndicator, isSum, productOf, termsOf } from "./products.js";

/** The parts of x that stand in its formula as pieces of their own. */
export function partsOf(x: Expression): readonly Expression[] {
  if (x === NEGATIVE_ENTROPY) return [];
  if (isSum(x)) return termsOf(x).flatMap(({ powers }) => [...powers.keys()]);
  const { factor, powers } = productOf(x);
  if (factor === 1 && powers.size === 1 && powers.get(x) === 1) {
    const picked = pickedOf(x);
    const operands = picked ? [picked] : isIndicator(x) ? x.operands.slice(0, 1) : x.operands;
    return operands.flatMap((y) => (isSum(y) || y.op === "constant" ? [y] : [...productOf(y).powers.keys()]));
  }
  return [...powers.keys()];
}

/** Longer texts than this are worth a name when they come again. */
const LONG = 11;

const LETTERS: Readonly<Record<string, readonly string[]>> = {
  exp: ["r", "e"],
  clamp: ["c"],
  min: ["m"],
  max: ["m"],
  softmax: ["q"],
  logSoftmax: ["g"],
  reduce: ["s", "m"],
  fold: ["s", "h"],
  add: ["d", "h"],
  sub: ["d", "h"],
  mul: ["a", "h"],
  neg: ["a", "h"],
  div: ["a", "h"],
};
const ANY = ["a", "b", "c", "d", "e", "g", "h", "k", "m", "q", "r", "s", "t", "x"];

/** The subscript of the n-th name with the same letter; the first has none. */
export const subscript = (n: number): string =>
  n === 1 ? "" : String(n).replaceAll(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)] as string);

/** Names for shared parts of the formulas, inner ones first. `taken`: names of inputs and config. */
export function namesOf(roots: readonly Expression[], taken: ReadonlySet<string>): Map<Expression, string> {
  const uses = new Map<Expression, number>();
  const seen = new Set<Expression>();
  const visit = (x: Expression) => {
    if (seen.has(x)) return;
    seen.add(x);
    for (const part of partsOf(x)) {
      uses.set(part, (uses.get(part) ?? 0) + 1);
      visit(part);
    }
  };
  roots.forEach(visit);
  const names = new Map<Expression, string>();
  const notation = new Notation(names, taken);
  for (const x of topological(roots)) {
    if ((uses.get(x) ?? 0) < 2 || x.dtype === "bool" || x.operands.length === 0) continue;
    if (x === NEGATIVE_ENTROPY || isIndicator(x)) continue;
    if (notation.text(x).length >= LONG) names.set(x, free(notation, LETTERS[x.op] ?? []));
  }
  return names;
}

/** A letter that nothing has yet. */
export function free(notation: Notation, preferred: readonly string[]): string {
  const candidates = [...preferred, ...ANY];
  const isFree = notation.freeNames();
  for (let n = 1; ; n++) {
    const suffix = subscript(n);
    const found = candidates.find((letter) => isFree(letter + suffix));
    if (found) return found + suffix;
  }
}
