/**
 * How an expression of entries is made of simpler ones. This is the one way to take their sums and products apart, for every pass that wants terms
 * or factors. The ops `mul`, `mulAdjoint` and `mulNoNan` multiply alike, and differ in the zeros that make the product 0 whatever the other factor is.
 */
import { constantValue, type Expression } from "../../dsl/expression.js";
import { oncePerNode } from "../../dsl/graph.js";
import { isMaximum, mul, mulAdjoint, mulNoNan } from "../../dsl/ops/index.js";
import { isPerEntry } from "../../dsl/spaces.js";
import { isExponential, sumHasExponentOf } from "./patterns.js";

/** The factors whose being 0 makes a product 0, whatever the other factor is; from the least strict to the strictest. */
export const ZEROS = ["none", "first", "either"] as const;
export type Zeros = (typeof ZEROS)[number];

const PRODUCTS = { none: mul, first: mulAdjoint, either: mulNoNan } as const;
const ZEROS_OF = { mul: "none", mulAdjoint: "first", mulNoNan: "either" } as const;

type Product = Extract<Expression, { readonly op: keyof typeof ZEROS_OF }>;

const isProduct = (x: Expression): x is Product => x.op in ZEROS_OF;

/** The product with these zeros. */
export const product = (a: Expression, b: Expression, zeros: Zeros): Expression => PRODUCTS[zeros](a, b);

/** The zeros of a product that is made of products with these. */
export const strictest = (a: Zeros, b: Zeros): Zeros => (ZEROS.indexOf(a) > ZEROS.indexOf(b) ? a : b);

export interface Sum {
  readonly kind: "sum";
  readonly terms: readonly [Expression, Expression];
  /** Whether the second term is subtracted. */
  readonly minus: boolean;
}

export interface Factors {
  readonly kind: "product";
  readonly factors: readonly [Expression, Expression];
  readonly zeros: Zeros;
  /** The product of a number and an entry; null where both factors are entries. */
  readonly scaled: { readonly number: Expression; readonly entry: Expression } | null;
}

/** A number is a value of the whole row. */
export type Form =
  | { readonly kind: "number" }
  | Sum
  | { readonly kind: "negative"; readonly of: Expression }
  | Factors
  /** `of` where the condition holds, else 0. */
  | { readonly kind: "masked"; readonly condition: Expression; readonly of: Expression }
  /** It does not come apart. */
  | { readonly kind: "entry" };

const NUMBER: Form = { kind: "number" };
const ENTRY: Form = { kind: "entry" };

export const formOf = oncePerNode((x): Form => {
  if (!isPerEntry(x.space)) return NUMBER;
  switch (x.op) {
    case "add":
      return { kind: "sum", terms: x.operands, minus: false };
    case "sub":
      // The distance z − max is small where z is large: taken apart it would lose what it is for.
      return isMaximum(x.operands[1]) ? ENTRY : { kind: "sum", terms: x.operands, minus: true };
    case "neg":
      return { kind: "negative", of: x.operands[0] };
    case "where": {
      const [condition, of, otherwise] = x.operands;
      return constantValue(otherwise) === 0 ? { kind: "masked", condition, of } : ENTRY;
    }
    default:
      return isProduct(x) ? factorsOf(x) : ENTRY;
  }
});

function factorsOf({ op, operands }: Product): Factors {
  const [a, b] = operands;
  const scaled = !isPerEntry(a.space) ? { number: a, entry: b } : isPerEntry(b.space) ? null : { number: b, entry: a };
  return { kind: "product", factors: operands, zeros: ZEROS_OF[op], scaled };
}

/**
 * The factors that a kernel compares with 0, so that the product is 0 where its zeros make it. Of e · x, where x is a sum with the exponent of e as a
 * term, that is e alone: where e is NaN, so is x, and no 0 of x is missed.
 */
export function guardsOf({ factors: [a, b], zeros }: Factors): readonly Expression[] {
  if (zeros === "none") return [];
  const own = (e: Expression, y: Expression) => isExponential(e) && sumHasExponentOf(e, y);
  if (zeros === "first" || a === b || own(a, b)) return [a];
  return own(b, a) ? [b] : [a, b];
}

/** A product with its masks and all of its factors. */
export interface Flattened {
  readonly masks: readonly Expression[];
  readonly factors: readonly Expression[];
}

/** Takes a product apart to its last factor, through masks that `isMask` accepts; null where it has more than `most` factors. */
export function flattened(root: Expression, isMask: (condition: Expression) => boolean, most: number): Flattened | null {
  const masks: Expression[] = [];
  const factors: Expression[] = [];
  const visit = (x: Expression): void => {
    if (factors.length > most) return;
    const form = formOf(x);
    if (form.kind === "masked" && isMask(form.condition)) {
      masks.push(form.condition);
      visit(form.of);
    } else if (form.kind === "product" && form.zeros !== "first") form.factors.forEach(visit);
    else factors.push(x);
  };
  visit(root);
  return factors.length > most ? null : { masks, factors };
}
