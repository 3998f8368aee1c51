/**
 * Expressions as people write them: sums of products, each product a number times powers of indivisible factors. Like terms are merged and common
 * factors stand before the sum; products of sums are left as they are, because that is how they read best.
 */
import { constant, constantValue, type Expression } from "../../dsl/expression.js";
import { add, div, fold, mul, neg, ONE, pow, sub, ZERO } from "../../dsl/ops/index.js";
import { isFiner, isPerEntry, type Space } from "../../dsl/spaces.js";
import { mean } from "./nodes.js";

/** A number times powers of expressions. */
export interface Product {
  readonly factor: number;
  readonly powers: ReadonlyMap<Expression, number>;
}

export const number = (factor: number): Product => ({ factor, powers: new Map() });
const power = (x: Expression, n: number): Product => ({ factor: 1, powers: new Map([[x, n]]) });

/** A tidy expression as one product. A sum is a factor of its own. */
export function productOf(x: Expression): Product {
  switch (x.op) {
    case "constant": {
      const { value } = x.attribute;
      return x.dtype === "f32" && Number.isFinite(value) ? number(value) : power(x, 1);
    }
    case "neg":
      return times(number(-1), productOf(x.operands[0]));
    case "mul":
      return times(productOf(x.operands[0]), productOf(x.operands[1]));
    case "div":
      return times(productOf(x.operands[0]), raised(productOf(x.operands[1]), -1));
    case "pow": {
      const [a, b] = x.operands;
      const n = constantValue(b);
      return n === undefined ? power(x, 1) : raised(productOf(a), n);
    }
    default:
      return power(x, 1);
  }
}

export function times(...products: readonly Product[]): Product {
  let factor = 1;
  const powers = new Map<Expression, number>();
  for (const product of products) {
    factor *= product.factor;
    for (const [x, n] of product.powers) {
      // A truth value times itself is itself.
      const next = isIndicator(x) ? 1 : (powers.get(x) ?? 0) + n;
      if (next === 0) powers.delete(x);
      else powers.set(x, next);
    }
  }
  return factor === 0 ? number(0) : withMeans({ factor, powers });
}

/** A product to a power. A factor whose power is not simple stays a factor of its own. */
export function raised(product: Product, n: number): Product {
  if (Number.isInteger(n) || (product.factor >= 0 && product.powers.size <= 1)) {
    return {
      factor: product.factor ** n,
      powers: new Map([...product.powers].map(([x, m]) => [x, isIndicator(x) && n > 0 ? 1 : m * n])),
    };
  }
  return power(pow(fromProduct(product), n), 1);
}

/** 1 where a condition holds, else 0. */
export function isIndicator(x: Expression): x is Indicator {
  return x.op === "where" && x.operands[1] === ONE && x.operands[2] === ZERO;
}

/** Half where min or max has a tie, else whole. */
export function isTieShare(x: Expression): x is TieShare {
  if (x.op !== "where") return false;
  const [c, a, b] = x.operands;
  return c.op === "eq" && constantValue(a) === 0.5 && b === ONE;
}

type Choice = Extract<Expression, { readonly op: "where" }>;
type Indicator = Choice & { readonly operands: readonly [Expression, typeof ONE, typeof ZERO]; readonly indicates?: never };
type TieShare = Choice & { readonly operands: readonly [Extract<Expression, { readonly op: "eq" }>, Expression, Expression] };

/** A sum over its count is a mean. */
function withMeans(product: Product): Product {
  for (const [x, n] of product.powers) {
    if (x.op !== "reduce" || x.attribute.reduction !== "sum" || n !== 1) continue;
    const [y] = x.operands;
    const count = fold("sum", ONE, y.space, x.space);
    if (product.powers.get(count) !== -1) continue;
    const powers = new Map(product.powers);
    powers.delete(x);
    powers.delete(count);
    return times({ factor: product.factor, powers }, power(mean(y, x.space), 1));
  }
  return product;
}

/** The order in which factors read well: numbers of the author's first, conditions and sums last. */
function place(x: Expression): number {
  const kind =
    x.space === "batch"
      ? 0
      : x.op === "input"
        ? x.attribute.name === "weights"
          ? 1
          : 2
        : x.op === "where"
          ? 4
          : isSum(x)
            ? 5
            : 3;
  return (isPerEntry(x.space) ? 10 : 0) + kind;
}

export function isSum(x: Expression): boolean {
  return x.op === "add" || x.op === "sub";
}

/** The factors in reading order. */
export function factorsOf({ powers }: Product): readonly (readonly [Expression, number])[] {
  return [...powers].sort(([x], [y]) => place(x) - place(y) || x.id - y.id);
}

export function fromProduct(product: Product): Expression {
  if (product.factor === 0) return ZERO;
  const factors = factorsOf(product);
  const raise = ([x, n]: readonly [Expression, number]): Expression => (Math.abs(n) === 1 ? x : pow(x, Math.abs(n)));
  const above = factors.filter(([, n]) => n > 0).map(raise);
  const below = factors.filter(([, n]) => n < 0).map(raise);
  const size = Math.abs(product.factor);
  if (size !== 1 || above.length === 0) above.unshift(constant(size));
  const chained = (list: readonly Expression[]) => list.reduce((a, b) => mul(a, b));
  const x = below.length > 0 ? div(chained(above), chained(below)) : chained(above);
  return product.factor < 0 ? neg(x) : x;
}

/** The terms of a tidy expression. */
export function termsOf(x: Expression): readonly Product[] {
  if (x.op === "add") return x.operands.flatMap(termsOf);
  if (x.op === "sub") {
    const [a, b] = x.operands;
    return [...termsOf(a), ...termsOf(b).map((term) => times(number(-1), term))];
  }
  const product = productOf(x);
  const [only] = product.powers;
  if (product.powers.size === 1 && only && only[1] === 1 && isSum(only[0])) {
    return termsOf(only[0]).map((term) => times(number(product.factor), term));
  }
  return [product];
}

const keyOf = ({ powers }: Product): string =>
  [...powers]
    .map(([x, n]) => `${x.id}^${n}`)
    .sort()
    .join();

const known = new WeakMap<Expression, boolean>();

/** Whether the policy is in it. */
function isLive(x: Expression): boolean {
  let live = known.get(x);
  if (live === undefined) {
    live = (x.op === "input" && x.attribute.differentiable) || x.operands.some(isLive);
    known.set(x, live);
  }
  return live;
}

/** The order in which terms read well: sequences by their number, then the policy's values, then the rest by age; plain numbers last. */
function ageOf({ powers }: Product): number {
  const ages = [...powers.keys()].map((x) => {
    const place = isIndicator(x) ? placeOf(x.operands[0]) : undefined;
    if (place !== undefined) return place - 2 * OLD;
    return isLive(x) ? x.id - OLD : x.id;
  });
  return Math.min(...ages);
}
const OLD = 2 ** 50;

/** The place within its group that a condition asks a sequence for. */
function placeOf(c: Expression): number | undefined {
  return c.op === "eq" && c.operands[0].op === "placeInGroup" ? constantValue(c.operands[1]) : undefined;
}

/** The sum of the terms. Like terms are merged, and common factors stand before the sum. */
export function total(terms: readonly Product[]): Expression {
  const merged = new Map<string, Product>();
  for (const term of terms) {
    const key = keyOf(term);
    merged.set(key, { factor: term.factor + (merged.get(key)?.factor ?? 0), powers: term.powers });
  }
  const list = [...merged.values()].filter(({ factor }) => factor !== 0);
  if (list.length <= 1) return fromProduct(list[0] ?? number(0));
  const content = contentOf(list);
  const inverse = raised(content, -1);
  const rest = list.map((term) => times(inverse, term)).sort((a, b) => ageOf(a) - ageOf(b));
  const positive = rest.filter(({ factor }) => factor > 0);
  const negative = rest.filter(({ factor }) => factor < 0);
  const sum = negative.reduce(
    (all, { factor, powers }) => sub(all, fromProduct({ factor: -factor, powers })),
    positive.map(fromProduct).reduce((a, b) => add(a, b)),
  );
  return fromProduct(times(content, power(sum, 1)));
}

/** The factors that all terms share. The sign leaves one of the terms positive: a count, else the plain number, else the oldest. */
function contentOf(list: readonly Product[]): Product {
  const [first] = list as [Product];
  const powers = new Map<Expression, number>();
  for (const [x, n] of first.powers) {
    const all = list.map((term) => term.powers.get(x) ?? 0);
    if (all.every((m) => Math.sign(m) === Math.sign(n))) powers.set(x, n > 0 ? Math.min(...all) : Math.max(...all));
  }
  const size = Math.abs(first.factor);
  const same = list.every(({ factor }) => Math.abs(factor) === size);
  const counted = list.find((term) => [...term.powers.keys()].some((x) => x.op === "fold" && x.operands[0] === ONE));
  const leading = counted ?? list.find((term) => term.powers.size === 0) ?? list.reduce((a, b) => (ageOf(a) <= ageOf(b) ? a : b));
  return { factor: Math.sign(leading.factor) * (same ? size : 1), powers };
}

/** More terms than this are not multiplied out. */
const MANY = 48;

/** The terms of a vocabulary expression with sums over entries multiplied out. */
export function multipliedOut(x: Expression): readonly Product[] {
  const done: Product[] = [];
  const open = [...termsOf(x)];
  while (open.length > 0) {
    const term = open.shift() as Product;
    const found = [...term.powers].find(([y, n]) => n === 1 && isSum(y) && isPerEntry(y.space));
    if (!found || done.length + open.length > MANY) done.push(term);
    else open.unshift(...termsOf(found[0]).map((part) => times(term, power(found[0], -1), part)));
  }
  return done;
}

/** The terms of a sum that stands behind common factors, with the factors in each. */
export function opened(x: Expression): readonly Product[] {
  return termsOf(x).flatMap((term) => {
    const found = [...term.powers].find(([y, n]) => n === 1 && isSum(y));
    return found ? termsOf(found[0]).map((part) => times(term, power(found[0], -1), part)) : [term];
  });
}

/** A product split in two: the factors that do not depend on elements finer than the space, and the rest. */
export function splitFactors({ factor, powers }: Product, space: Space): readonly [outer: Product, inner: Product] {
  const [outer, inner] = [new Map<Expression, number>(), new Map<Expression, number>()];
  const isInner = (x: Expression) => isFiner(x.space, space) || (isPerEntry(x.space) && !isPerEntry(space));
  for (const [x, n] of powers) (isInner(x) ? inner : outer).set(x, n);
  return [
    { factor, powers: outer },
    { factor: 1, powers: inner },
  ];
}
