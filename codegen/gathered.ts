/**
 * The gradient of an entry, written with as little done per entry as can be: factors of the row's are multiplied once per row, and what several terms take of
 * one exponential is taken once. What is not a sum or a product is left as it is: elsewhere it must come out with the same bits.
 */
import type { Expression } from "../dsl/expression.js";
import { oncePerNode, topological, withOperands } from "../dsl/graph.js";
import { absorb, add, chain, max, mul, neg, ONE, sub } from "../dsl/ops/index.js";
import { isMaximum } from "./ranks.js";
import { isExponential } from "./shapes.js";
import { simplifier } from "./simplify.js";

/** An entry and what it is multiplied with. */
interface Product {
  readonly entry: Expression;
  /** Of the row's; with slopes, of what lies how far below the maximum of its row, where the entry is an exponential. */
  readonly number: Linear;
  /** Which 0 makes it 0 whatever the rest is: none, the number's, or the entry's, too. */
  readonly care: Care;
}

/** constant + Σ slope · exponent, constant and slopes of the row's; null is 0. */
interface Linear {
  readonly constant: Expression | null;
  /** By exponent. */
  readonly slopes: ReadonlyMap<Expression, Expression>;
}

type Care = 0 | 1 | 2;
const NONE = 0;
const FACTORS = 1;
const ALL = 2;
const more = (a: Care, b: Care): Care => (a > b ? a : b);

const numberOf = (constant: Expression | null, slopes: Linear["slopes"] = new Map()): Linear => ({ constant, slopes });
const one = numberOf(ONE as Expression);
const alone = (entry: Expression): Product => ({ entry, number: one, care: NONE });
const made = (number: Expression, x: Expression, care: Care) => [mul, chain, absorb][care]?.(number, x) as Expression;

const both = (a: Expression | null, b: Expression | null): Expression | null => (a && b ? (add(a, b) as Expression) : (a ?? b));
function plus(a: Linear, b: Linear): Linear {
  const slopes = new Map(a.slopes);
  for (const [exponent, slope] of b.slopes) slopes.set(exponent, both(slopes.get(exponent) ?? null, slope) as Expression);
  return numberOf(both(a.constant, b.constant), slopes);
}
const each = ({ constant, slopes }: Linear, f: (x: Expression) => unknown): Linear =>
  numberOf(constant && (f(constant) as Expression), new Map([...slopes].map(([x, slope]) => [x, f(slope) as Expression])));
const negated = (x: Linear) => each(x, neg);

/** Vocabulary expressions as functions of exponents; null where one is none. */
const linear = oncePerNode((x): Linear | null => {
  if (x.space !== "vocab") return numberOf(x);
  const [a, b] = x.operands as [Expression, Expression];
  switch (x.op) {
    case "exponent":
      return numberOf(null, new Map([[x, ONE as Expression]]));
    case "neg": {
      const of = linear(a);
      return of && negated(of);
    }
    case "add":
    case "sub": {
      const [left, right] = [linear(a), linear(b)];
      return left && right && plus(left, x.op === "add" ? right : negated(right));
    }
    case "mul":
    case "chain":
    case "absorb": {
      if (a.space === b.space) return null;
      const [factor, rest] = a.space === "vocab" ? [b, a] : [a, b];
      const of = linear(rest);
      // By the same op: they differ in what a 0 does beside what is no number.
      return of && each(of, (y) => (y === ONE ? factor : withOperands(x, rest === a ? [y, b] : [a, y])));
    }
    default:
      return null;
  }
});

/** Far below every exponent whose power is above 0, in float64, too. */
const LEAST = -2000;
/** The exponent of an e = 2^x, without the -inf of one that is 0. */
const finite = (e: Expression) => max(e.operands[0] as Expression, LEAST) as Expression;

/** An exponential's terms, of which not all are 0, as one product. */
function asOne(e: Expression, { constant, slopes }: Linear): Expression {
  const [own] = e.operands as [Expression];
  const others = [...slopes].filter(([x]) => x !== own).map(([x, slope]) => chain(slope, x) as Expression);
  const slope = slopes.get(own);
  const along = slope ? (mul(slope, others.length > 0 ? own : finite(e)) as Expression) : null;
  const factor = others.reduce<Expression | null>(both, both(constant, along)) as Expression;
  return (others.length > 0 ? chain(e, factor) : mul(factor, e)) as Expression;
}

/** The same, each of them 0 where its number of the row's is. */
function apart(e: Expression, { constant, slopes }: Linear): Expression {
  const terms = [...slopes].map(
    ([x, slope]) => chain(slope, x === e.operands[0] ? mul(e, finite(e)) : chain(e, x)) as Expression,
  );
  return terms.reduce<Expression | null>(both, constant && (chain(constant, e) as Expression)) as Expression;
}

/** Not of a distance from a maximum, which is small where its parts are large. */
const isSum = ({ op, operands: [, b] }: Expression) => op === "add" || (op === "sub" && b !== undefined && !isMaximum(b));
const isProduct = ({ op }: Expression) => op === "mul" || op === "chain" || op === "absorb";

export interface Known {
  /** What has a value already. */
  readonly value: Expression | null;
  /** Values of the row that are known not to be 0. */
  readonly nonZero: ReadonlySet<Expression>;
  /** Whether a gradient whose adjoints are all 0 is known to be. */
  readonly zero: boolean;
}

export function gathered(root: Expression, { value, nonZero, zero }: Known): Expression {
  const simplified = simplifier();
  const ends = (x: Expression) => x.space !== "vocab" || x === value;
  const uses = new Map<Expression, number>();
  for (const x of topological([root], ends)) if (!ends(x)) for (const y of x.operands) uses.set(y, (uses.get(y) ?? 0) + 1);
  /** Whether it is wanted here alone. */
  const inside = (x: Expression) => !ends(x) && uses.get(x) === 1;

  /** What an operand is a product of: of an exponential, which has a name, also where the whole is wanted elsewhere. */
  const within = (x: Expression): Product => {
    const product = ends(x) ? alone(x) : productOf(x);
    return inside(x) || isExponential(product.entry) ? product : alone(x);
  };

  const productOf = oncePerNode((x: Expression): Product => {
    const [a, b] = x.operands as [Expression, Expression];
    if (x.op === "neg") {
      const { number, ...product } = within(a);
      return number === one ? alone(x) : { ...product, number: negated(number) };
    }
    if (!isProduct(x)) return alone(x);
    if (a.space === "vocab" && b.space === "vocab") {
      if (x.op === "mul") return alone(x);
      return ofTwo(a, b) ?? (x.op === "absorb" ? ofTwo(b, a) : null) ?? alone(x);
    }
    // What is chained the other way round has no adjoint of the row's.
    if (x.op === "chain" && a.space === "vocab") return alone(x);
    const [factor, rest] = a.space === "vocab" ? [b, a] : [a, b];
    const { entry, number, care } = within(rest);
    const own = x.op === "mul" || (x.op === "chain" && nonZero.has(a)) ? NONE : x.op === "chain" ? FACTORS : ALL;
    return { entry, number: each(number, (y) => (y === ONE ? factor : made(factor, y, own))), care: more(care, own) };
  });

  /** The product of an exponential's term x, whose 0 makes it 0, and another that is a function of exponents. */
  const ofTwo = (x: Expression, other: Expression): Product | null => {
    const { entry, number } = within(x);
    const factor = number.slopes.size > 0 ? null : number.constant;
    if (!factor || !isExponential(entry) || entry === value) return null;
    const times = linear(other);
    return times && { entry, number: each(times, (y) => (factor === ONE ? y : absorb(factor, y))), care: ALL };
  };

  const isGathered = ({ entry, number }: Product) => isExponential(entry) && number !== one;
  const areGathered = oncePerNode((x: Expression): boolean => {
    if (inside(x) && isSum(x)) return x.operands.every(areGathered);
    return !ends(x) && isGathered(within(x));
  });
  /** Whether it is a sum of exponentials' terms, all of them scaled. */
  const isScaledSum = ({ op, operands: [a, b] }: Expression): boolean =>
    op === "chain" && b?.space !== "vocab" && a !== undefined && isSum(a) && areGathered(a);

  const visit = (x: Expression): Expression => {
    if (ends(x)) return x;
    const [a, b, c] = x.operands as [Expression, Expression, Expression];
    if (x.op === "where") return withOperands(x, [a, visit(b), visit(c)]);
    if (isSum(x) || isScaledSum(x) || isExponential(productOf(x).entry)) return sum(x);
    if (x.op === "neg") return withOperands(x, [visit(a)]);
    if (x.op === "chain" && a.space === "vocab") return withOperands(x, [visit(a), b]);
    const { entry, number, care } = productOf(x);
    const factor = number.constant as Expression;
    return number === one || care === ALL || x.operands.includes(factor) ? x : made(factor, entry, care);
  };

  const sum = (x: Expression): Expression => {
    const terms: { x: Expression; readonly minus: boolean }[] = [];
    /** Where the term of an exponential is, and what it is multiplied with so far. */
    const taken = new Map<Expression, { readonly at: number; readonly terms: Linear[]; care: Care }>();
    /** `scale`: what the sum around is chained with. */
    const split = (y: Expression, minus: boolean, scale: Expression): void => {
      const [a, b] = y.operands as [Expression, Expression];
      const open = y === x || inside(y);
      if (open && isSum(y)) {
        split(a, minus, scale);
        split(b, y.op === "sub" ? !minus : minus, scale);
        return;
      }
      if (open && isScaledSum(y)) {
        split(a, minus, b);
        return;
      }
      const product = y === x ? productOf(y) : within(y);
      if (!isGathered(product)) {
        terms.push({ x: y === x ? y : visit(y), minus });
        return;
      }
      const { entry, number, care } = product;
      const term = scale === ONE ? number : each(number, (y) => (y === ONE ? scale : chain(y, scale)));
      const before = taken.get(entry) ?? { at: terms.length, terms: [], care: NONE as Care };
      if (before.terms.length === 0) terms.push({ x: y, minus: false });
      before.terms.push(minus ? negated(term) : term);
      before.care = more(before.care, scale === ONE ? care : FACTORS);
      taken.set(entry, before);
    };
    split(x, false, ONE as Expression);
    // With all adjoints 0 it is not come to, and where one is not, the row's numbers are as they are.
    const whole = zero && x === root && taken.size === terms.length && taken.size === 1;
    for (const [entry, { at, terms: list, care }] of taken) {
      // An exponential is 1 somewhere in its row: where a factor is no number, the row has one that is none, whatever another is.
      const number = each(list.reduce(plus), simplified);
      (terms[at] as { x: Expression }).x = (whole || care === NONE ? asOne : apart)(entry, number);
    }
    const [first, ...rest] = terms as [{ x: Expression; minus: boolean }, ...typeof terms];
    const start = first.minus ? (neg(first.x) as Expression) : first.x;
    return rest.reduce((total, term) => (term.minus ? sub(total, term.x) : add(total, term.x)) as Expression, start);
  };

  return visit(root);
}
