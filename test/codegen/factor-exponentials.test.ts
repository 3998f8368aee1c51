/** Gradients of an entry are written in another form, not with another value: expressions by lot, evaluated before and after. */
import { expect, test } from "vitest";
import { factorOut } from "../../codegen/passes/rows/factor-exponentials.js";
import { factorsOf } from "../../codegen/passes/split-gradient.js";
import { constantValue, type Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import {
  add,
  exp2,
  exponent,
  fold,
  gt,
  input,
  max,
  mul,
  mulAdjoint,
  mulNoNan,
  neg,
  opRow,
  sub,
  tanh,
  where,
} from "../../dsl/ops/index.js";
import { logits } from "../../dsl/policy.js";
import { numbersFrom } from "../sample.js";

const PLAIN = { value: null, nonZero: new Set<Expression>(), zero: false };

type Values = ReadonlyMap<Expression, number>;

const factors = ["a", "b", "c"].map((name) => input(name, "token"));
const second = input("second", "vocab");
const greatest = (x: Expression) => fold("max", x, "vocab", "token");
const exponential = (x: Expression) => exp2(exponent(x, greatest(x)));
const rows = [logits, second];
const exponentials = rows.map(exponential);
const distances = exponentials.map(({ operands: [distance] }) => distance as Expression);

function valueOf(root: Expression, known: Values): number {
  const values = new Map<Expression, number>(known);
  for (const x of topological([root], (y) => known.has(y))) {
    if (values.has(x)) continue;
    const operands = x.operands.map((y) => values.get(y) as number);
    values.set(x, constantValue(x) ?? (opRow(x.op)?.evaluate(...operands) as number));
  }
  return values.get(root) as number;
}

function expressionFrom(random: () => number): Expression {
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  const pool: Expression[] = [...exponentials, ...distances, ...rows, ...factors];
  const make: readonly ((a: Expression, b: Expression) => unknown)[] = [
    add,
    sub,
    mul,
    mulAdjoint,
    mulNoNan,
    add,
    sub,
    mul,
    mulAdjoint,
    mulNoNan,
    (a) => neg(a),
    (a) => tanh(a),
    (a, b) => where(gt(a, 0.25), b, a),
    (a, b) => where(gt(b, 0), a, 0),
  ];
  for (let i = 2 + Math.floor(random() * 14); i > 0; i--)
    pool.push(pick(make)(random() < 0.5 ? (pool.at(-1) as Expression) : pick(pool), pick(pool)) as Expression);
  return pool.at(-1) as Expression;
}

type Kind = "numbers" | "far entries" | "broken rows" | "broken factors";

/** Values of everything that is not computed; rows may be what no row should be, and factors, too. */
function leavesFrom(random: () => number, kind: Kind): Map<Expression, number> {
  const pick = (...list: readonly number[]) => list[Math.floor(random() * list.length)] as number;
  const { NaN: nan, POSITIVE_INFINITY: infinite, NEGATIVE_INFINITY: none } = Number;
  const values = new Map<Expression, number>();
  for (const x of factors) {
    const broken = kind === "broken factors" && random() < 0.4;
    values.set(x, broken ? pick(nan, infinite) : random() < 0.3 ? 0 : random() * 4 - 2);
  }
  for (const x of rows) {
    const broken = kind === "broken rows";
    // Of the logits an entry of -inf is not there.
    const far = kind === "far entries" && random() < 0.7 ? (x === second ? none : -2e307) : null;
    const z = broken ? pick(nan, infinite) : (far ?? random() * 4 - 2);
    values.set(x, z);
    values.set(greatest(x), broken ? z : far === null ? z + random() : random());
  }
  return values;
}

test.each(["numbers", "far entries", "broken rows", "broken factors"] as const)("%s", (kind) => {
  let changed = 0;
  for (let seed = 1; seed <= 20_000; seed++) {
    const random = numbersFrom(seed);
    const root = expressionFrom(random);
    if (root.space !== "vocab") continue;
    const known = random() < 0.3 ? (exponentials[0] as Expression) : null;
    const leaves = leavesFrom(random, kind);
    const nonZero = new Set(random() < 0.5 ? factors.filter((x) => leaves.get(x) !== 0) : []);
    const before = valueOf(root, leaves);
    const adjoints = factorsOf(root);
    const zero = adjoints !== null && adjoints.length > 0 && random() < 0.5;
    if (zero && adjoints.every((x) => valueOf(x, leaves) === 0)) {
      if (before !== 0 && (kind === "numbers" || kind === "broken factors"))
        expect.fail(`seed ${seed}: taken for 0 instead of ${before}`);
      continue;
    }
    const other = factorOut(root, { value: known, nonZero, zero });
    if (other !== root) changed++;
    const after = valueOf(other, leaves);
    const kept = Number.isFinite(before)
      ? Math.abs(after - before) <= (kind === "far entries" ? 1e308 : 1e-9 * (1 + Math.abs(before)))
      : !Number.isFinite(after) || kind === "far entries" || kind === "broken rows";
    if (!kept) expect.fail(`seed ${seed}: ${after} instead of ${before}`);
  }
  expect(changed).toBeGreaterThan(1000);
});

test("factors of the row's are one, and so are the terms of an exponential", () => {
  const [a, b, c] = factors as [Expression, Expression, Expression];
  const e = exponentials[0] as Expression;
  expect(
    factorOut(mulAdjoint(neg(a), mul(e, b)) as Expression, {
      value: null,
      nonZero: new Set([neg(a) as Expression]),
      zero: false,
    }),
  ).toBe(mul(mul(neg(a), b), e));
  const sum = add(mulAdjoint(a, mul(e, b)), mulAdjoint(c, mul(e, b))) as Expression;
  const two = mulAdjoint(sub(mulAdjoint(a, e), mulAdjoint(b, exponentials[1] as Expression)), c) as Expression;
  expect(factorOut(two, PLAIN)).toBe(
    add(mulAdjoint(mulAdjoint(a, c), e), mulAdjoint(neg(mulAdjoint(b, c)), exponentials[1] as Expression)),
  );
  expect(factorOut(sum, PLAIN)).toBe(mulAdjoint(add(mulAdjoint(a, b), mulAdjoint(c, b)), e));
});

test("an exponential and what is linear in its exponent are one product", () => {
  const [a, b, c] = factors as [Expression, Expression, Expression];
  const [e, d] = [exponentials[0], distances[0]] as [Expression, Expression];
  const least = max(d, -2000);
  const entropy = add(mulAdjoint(c, e), mulNoNan(mul(e, a), neg(mulNoNan(b, sub(d, a))))) as Expression;
  const [constant, slope] = [add(c, mulNoNan(a, mulNoNan(b, a))), neg(mulNoNan(a, b))];
  expect(factorOut(entropy, { ...PLAIN, zero: true })).toBe(mul(add(constant, mul(slope, least)), e));
  expect(factorOut(entropy, PLAIN)).toBe(add(mulAdjoint(constant, e), mulAdjoint(slope, mul(e, least))));
});

test("and so are an exponential and what is linear in exponents of several rows", () => {
  const [a, b, c] = factors as [Expression, Expression, Expression];
  const [e, d, other] = [exponentials[0], ...distances] as [Expression, Expression, Expression];
  const divergence = add(mulAdjoint(c, e), mulNoNan(mul(e, a), sub(mul(b, d), mul(c, other)))) as Expression;
  const [constant, own, slope] = [c, mulNoNan(a, b), neg(mulNoNan(a, c))];
  expect(factorOut(divergence, { ...PLAIN, zero: true })).toBe(
    mulAdjoint(e, add(add(constant, mul(own, d)), mulAdjoint(slope, other))),
  );
  expect(factorOut(divergence, PLAIN)).toBe(
    add(add(mulAdjoint(constant, e), mulAdjoint(own, mul(e, max(d, -2000)))), mulAdjoint(slope, mulAdjoint(e, other))),
  );
});

test("long sums take no time", () => {
  const [a] = factors as [Expression];
  const terms = Array.from({ length: 1000 }, (_, i) => mulAdjoint(add(a, i), tanh(mul(second, i + 2))) as Expression);
  const root = terms.reduce((sum, term) => add(sum, term) as Expression);
  const begun = performance.now();
  factorOut(root, PLAIN);
  expect(performance.now() - begun).toBeLessThan(1000);
});
