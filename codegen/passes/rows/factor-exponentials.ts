/**
 * Factors the exponentials out of an entry's gradient, so that little is computed per entry: factors of the whole row are multiplied once per row,
 * and terms of one exponential share one product with it. Values that are neither sums nor products stay as they are, for elsewhere they must have
 * the same bits.
 *
 * Of an exponential e of an exponent x and numbers a, b and d of the row's, a · (b · e) + d · (x · e) becomes e · (k + d · x), with k = a · b
 * computed once per row.
 */
import type { Expression } from "../../../dsl/expression.js";
import { operandsFirst, topological, withOperands } from "../../../dsl/graph.js";
import { add, max, mul, mulAdjoint, mulNoNan, neg, ONE, sub, ZERO } from "../../../dsl/ops/index.js";
import { isPerEntry } from "../../../dsl/spaces.js";
import { type Exponential, isExponent, isExponential } from "../patterns.js";
import { formOf, product, strictest, type Zeros } from "../products.js";
import { isZeroGradient, knownNonZero, plainTotal, type RowKernel } from "./record.js";

/** An entry and what it is multiplied with. */
interface EntryProduct {
  readonly entry: Expression;
  /** Has slopes only where the entry is an exponential. */
  readonly number: Affine;
  /** The zeros of the product of the number and the entry. */
  readonly zeros: Zeros;
}

/** A value of the row's, or its negative: what the row knows already is not taken apart for a sign. */
interface Signed {
  readonly of: Expression;
  readonly minus: boolean;
}

/** constant + Σ slope · exponent; null is 0. */
interface Affine {
  readonly constant: Signed | null;
  /** By exponent. */
  readonly slopes: ReadonlyMap<Expression, Signed>;
}

const positive = (of: Expression): Signed => ({ of, minus: false });
const signed = ({ of, minus }: Signed): Expression => (minus ? neg(of) : of);
const both = (a: Signed | null, b: Signed | null): Signed | null => (a && b ? summed(a, b) : (a ?? b));
function summed(a: Signed, b: Signed): Signed {
  if (a.minus === b.minus) return { of: add(a.of, b.of), minus: a.minus };
  return positive(a.minus ? sub(b.of, a.of) : sub(a.of, b.of));
}

const affine = (constant: Signed | null, slopes: Affine["slopes"] = new Map()): Affine => ({ constant, slopes });
const one = affine(positive(ONE));
const alone = (entry: Expression): EntryProduct => ({ entry, number: one, zeros: "none" });

function plus(a: Affine, b: Affine): Affine {
  const slopes = new Map(a.slopes);
  for (const [exponent, slope] of b.slopes) {
    const known = slopes.get(exponent);
    slopes.set(exponent, known ? summed(known, slope) : slope);
  }
  return affine(both(a.constant, b.constant), slopes);
}
const each = ({ constant, slopes }: Affine, f: (x: Signed) => Signed): Affine =>
  affine(constant && f(constant), new Map([...slopes].map(([exponent, slope]) => [exponent, f(slope)])));
const negated = (x: Affine) => each(x, ({ of, minus }) => ({ of, minus: !minus }));
/** Scaled by a factor of the row's as `f` writes it; 1 becomes the factor. */
const times = (x: Affine, factor: Expression, f: (y: Expression) => Expression) =>
  each(x, ({ of, minus }) => ({ of: of === ONE ? factor : f(of), minus }));

/** Vocabulary expressions as functions of exponents; null where one is none. */
const affineOf = operandsFirst((x): Affine | null => {
  const form = formOf(x);
  switch (form.kind) {
    case "number":
      return affine(positive(x));
    case "negative": {
      const of = affineOf(form.of);
      return of && negated(of);
    }
    case "sum": {
      const [left, right] = [affineOf(form.terms[0]), affineOf(form.terms[1])];
      return left && right && plus(left, form.minus ? negated(right) : right);
    }
    case "product": {
      const [a, b] = form.factors;
      const split = form.scaled;
      const of = split && affineOf(split.entry);
      // By the same op: they differ in what a 0 does beside NaN.
      return of && times(of, split.number, (y) => withOperands(x, split.entry === a ? [y, b] : [a, y]));
    }
    default:
      return isExponent(x) ? affine(null, new Map([[x, positive(ONE)]])) : null;
  }
});

/** Far below every exponent whose power is above 0, in float64, too. */
const LEAST = -2000;
/** The exponent of an e = 2^x, without the -inf of one that is 0. */
const finite = (e: Exponential) => max(e.operands[0], LEAST);

const total = (first: Signed | null, others: readonly Signed[]): Signed => others.reduce(both, first) ?? positive(ZERO);

/** (k + d · x) · e. It is right where no number's 0 must absorb a NaN, or where one of the numbers is known not to be 0. */
function factoredOnce(e: Exponential, { constant, slopes }: Affine): Expression {
  const [own] = e.operands;
  const isOwn = [...slopes.keys()].every((x) => x === own);
  const along = [...slopes].map(([x, slope]) => {
    const number = signed(slope);
    return positive(x !== own ? mulAdjoint(number, x) : mul(number, isOwn ? finite(e) : x));
  });
  const factor = signed(total(constant, along));
  return isOwn ? mul(factor, e) : mulAdjoint(e, factor);
}

/** k · e + d · (x · e), each of them 0 where its number is. */
function termByTerm(e: Exponential, { constant, slopes }: Affine): Expression {
  const [own] = e.operands;
  const terms = [...slopes].map(([x, slope]) =>
    positive(mulAdjoint(signed(slope), x === own ? mul(e, finite(e)) : mulAdjoint(e, x))),
  );
  return signed(total(constant && positive(mulAdjoint(signed(constant), e)), terms));
}

const isSum = (x: Expression) => formOf(x).kind === "sum";

export function factorExponentials(kernel: RowKernel): RowKernel {
  const { gradient, cachedExp } = kernel;
  if (!gradient || isZeroGradient(gradient)) return kernel;
  const known = { value: cachedExp, nonZero: knownNonZero(gradient), zero: gradient.zeroWhere.length > 0 };
  return { ...kernel, gradient: { ...gradient, others: plainTotal(factorOut(gradient.others.x, known)) } };
}

interface Known {
  /** An entry's value that is known already. */
  readonly value: Expression | null;
  /** Values of the row that are known not to be 0. */
  readonly nonZero: ReadonlySet<Expression>;
  /** Whether a gradient whose adjoints are all 0 is known to be. */
  readonly zero: boolean;
}

export function factorOut(root: Expression, { value, nonZero, zero }: Known): Expression {
  const ends = (x: Expression) => !isPerEntry(x.space) || x === value;
  const uses = new Map<Expression, number>();
  for (const x of topological([root], ends)) if (!ends(x)) for (const y of x.operands) uses.set(y, (uses.get(y) ?? 0) + 1);
  /** Whether it is wanted here alone. */
  const inside = (x: Expression) => !ends(x) && uses.get(x) === 1;

  /**
   * The product that an operand is. A value that is used elsewhere as well is taken apart only if it is a product of an exponential, which has a name
   * anyway.
   */
  const within = (x: Expression): EntryProduct => {
    const product = ends(x) ? alone(x) : productOf(x);
    return inside(x) || isExponential(product.entry) ? product : alone(x);
  };

  const productOf = operandsFirst((x: Expression): EntryProduct => {
    const form = formOf(x);
    if (form.kind === "negative") {
      const { number, ...rest } = within(form.of);
      return number === one ? alone(x) : { ...rest, number: negated(number) };
    }
    if (form.kind !== "product") return alone(x);
    const { factors, scaled } = form;
    const [a, b] = factors;
    if (!scaled) {
      if (form.zeros === "none") return alone(x);
      return ofTwo(a, b) ?? (form.zeros === "either" ? ofTwo(b, a) : null) ?? alone(x);
    }
    // With an adjoint of the entry's own, no number makes it 0.
    if (form.zeros === "first" && a === scaled.entry) return alone(x);
    const { entry, number, zeros } = within(scaled.entry);
    const own = form.zeros === "first" && nonZero.has(a) ? "none" : form.zeros;
    return { entry, number: times(number, scaled.number, (y) => product(scaled.number, y, own)), zeros: strictest(zeros, own) };
  });

  /** The product of an exponential's term x, whose 0 makes it 0, and another that is a function of exponents. */
  const ofTwo = (x: Expression, other: Expression): EntryProduct | null => {
    const { entry, number } = within(x);
    const factor = number.slopes.size > 0 ? null : number.constant;
    if (!factor || !isExponential(entry) || entry === value) return null;
    const of = affineOf(other);
    const scaled = of && (factor.of === ONE ? of : times(of, factor.of, (y) => mulNoNan(factor.of, y)));
    return scaled && { entry, number: factor.minus ? negated(scaled) : scaled, zeros: "either" };
  };

  const isScaledExponential = ({ entry, number }: EntryProduct) => isExponential(entry) && number !== one;
  const areScaledExponentials = operandsFirst((x: Expression): boolean => {
    if (inside(x) && isSum(x)) return x.operands.every(areScaledExponentials);
    return !ends(x) && isScaledExponential(within(x));
  });
  /** Whether it is a sum of exponentials' terms, all of them scaled. */
  const scaledSum = (x: Expression) => {
    if (x.op !== "mulAdjoint") return null;
    const [a, b] = x.operands;
    return !isPerEntry(b.space) && isSum(a) && areScaledExponentials(a) ? x.operands : null;
  };

  const visit = (x: Expression): Expression => {
    if (ends(x)) return x;
    if (x.op === "where") return withOperands(x, [x.operands[0], visit(x.operands[1]), visit(x.operands[2])]);
    if (isSum(x) || scaledSum(x) || isExponential(productOf(x).entry)) return sum(x);
    if (x.op === "neg") return withOperands(x, [visit(x.operands[0])]);
    if (x.op === "mulAdjoint" && isPerEntry(x.operands[0].space)) return withOperands(x, [visit(x.operands[0]), x.operands[1]]);
    const { entry, number, zeros } = productOf(x);
    const factor = number.constant && signed(number.constant);
    return number === one || zeros === "either" || !factor || x.operands.some((y) => y === factor)
      ? x
      : product(factor, entry, zeros);
  };

  const sum = (x: Expression): Expression => {
    const terms: Signed[] = [];
    /** Where the term of an exponential is, and what it is multiplied with so far. */
    const taken = new Map<Exponential, { readonly at: number; readonly terms: Affine[]; zeros: Zeros }>();
    /** `scale`: what the sum around is chained with. */
    const split = (y: Expression, minus: boolean, scale: Expression): void => {
      const open = y === x || inside(y);
      const form = formOf(y);
      if (open && form.kind === "sum") {
        split(form.terms[0], minus, scale);
        split(form.terms[1], form.minus ? !minus : minus, scale);
        return;
      }
      const scaled = open && scaledSum(y);
      if (scaled) {
        split(scaled[0], minus, scaled[1]);
        return;
      }
      const { entry, number, zeros } = y === x ? productOf(y) : within(y);
      if (!isExponential(entry) || number === one) {
        terms.push({ of: y === x ? y : visit(y), minus });
        return;
      }
      const term = scale === ONE ? number : times(number, scale, (y) => mulAdjoint(y, scale));
      const before = taken.get(entry) ?? { at: terms.length, terms: [], zeros: "none" as Zeros };
      if (before.terms.length === 0) terms.push(positive(y));
      before.terms.push(minus ? negated(term) : term);
      before.zeros = strictest(before.zeros, scale === ONE ? zeros : "first");
      taken.set(entry, before);
    };
    split(x, false, ONE);
    // Rows whose adjoints are all 0 are skipped by the store, so here at least one is not. An exponential is 1 somewhere in its row: a number that is
    // NaN makes that entry NaN, whatever the others are.
    const whole = zero && x === root && taken.size === terms.length && taken.size === 1;
    for (const [entry, { at, terms: list, zeros }] of taken)
      terms[at] = positive((whole || zeros === "none" ? factoredOnce : termByTerm)(entry, list.reduce(plus)));
    return signed(total(null, terms));
  };

  return visit(root);
}
