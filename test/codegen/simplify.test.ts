/** One line per rule. That values are kept is what `test/properties/simplify.test.ts` shows on random graphs. */
import { expect, it } from "vitest";
import { simplifier } from "../../codegen/passes/simplify.js";
import type { Expression } from "../../dsl/expression.js";
import {
  add,
  div,
  eq,
  exp,
  fold,
  gt,
  input,
  mul,
  mulAdjoint,
  mulNoNan,
  ne,
  neg,
  not,
  sub,
  tanh,
  where,
} from "../../dsl/ops/index.js";
import { isTarget, logits } from "../../dsl/policy.js";
import { said } from "./graphs.js";

const [a, b] = [input("a", "token"), input("b", "token")];
const [s, e] = [input("s", "sequence"), input("e", "batch")];
const sum = (x: Expression) => fold("sum", x, "token", "batch");
const row = (x: Expression) => fold("sum", x, "vocab", "token");
const top = (x: Expression) => fold("max", x, "vocab", "token");
const c = gt(a, b);

const RULES: readonly (readonly [Expression, string])[] = [
  [add(a, 0), "a"],
  [add(0, a), "a"],
  [add(a, neg(b)), "sub(a, b)"],
  [add(neg(a), b), "sub(b, a)"],
  [sub(a, 0), "a"],
  [sub(0, a), "neg(a)"],
  [sub(a, neg(b)), "add(a, b)"],
  [neg(neg(a)), "a"],
  [neg(sub(a, b)), "sub(b, a)"],
  [mul(1, a), "a"],
  [mul(a, -1), "neg(a)"],
  [mul(neg(a), b), "neg(mul(a, b))"],
  [mul(a, neg(logits)), "mul(neg(a), logits)"],
  [div(a, 1), "a"],
  [mulAdjoint(0, a), "0"],
  [mulAdjoint(2, a), "mul(2, a)"],
  [mulAdjoint(a, 2), "mul(a, 2)"],
  [mulAdjoint(a, 0), "0"],
  [mulAdjoint(a, neg(b)), "mulAdjoint(neg(a), b)"],
  [mulAdjoint(where(c, a, 0), b), "where(gt(a, b), mulAdjoint(a, b), 0)"],
  [mulAdjoint(where(c, 0, a), b), "where(gt(a, b), 0, mulAdjoint(a, b))"],
  [where(c, a, a), "a"],
  [where(not(c), a, b), "where(gt(a, b), b, a)"],
  [where(c, where(c, a, b), s), "where(gt(a, b), a, s)"],
  [where(c, a, where(c, b, s)), "where(gt(a, b), a, s)"],
  [where(ne(a, 0), a, 0), "a"],
  // A maximum that an author asks for is the row's own.
  [where(ne(logits, Number.NEGATIVE_INFINITY), logits, Number.NEGATIVE_INFINITY), "logits"],
  [exp(sub(logits, top(logits))), "exp2(exponent(logits, max[vocab→token](logits)))"],
  [exp(sub(logits, top(tanh(logits)))), "exp(sub(logits, max[vocab→token](tanh(logits))))"],
  [where(eq(a, b), where(c, s, 0), 0), "where(eq(a, b), where(gt(a, b), s, 0), 0)"],
  [where(c, where(eq(a, b), where(c, s, 0), 0), 0), "where(eq(a, b), where(gt(a, b), s, 0), 0)"],
  [mulNoNan(logits, -1), "neg(logits)"],
  [row(mul(logits, add(logits, 1))), "sum[vocab→token](mul(logits, add(logits, 1)))"],
  [row(add(mulNoNan(isTarget, tanh(logits)), exp(logits))), "add(tanh(at(logits)), sum[vocab→token](exp(logits)))"],
  [
    row(add(mul(a, exp(logits)), tanh(logits))),
    "add(mulNoNan(a, sum[vocab→token](exp(logits))), sum[vocab→token](tanh(logits)))",
  ],
  [sum(neg(a)), "neg(sum[token→batch](a))"],
  [sum(mul(e, a)), "mul(e, sum[token→batch](a))"],
  [sum(mul(a, e)), "mul(sum[token→batch](a), e)"],
  [sum(mulAdjoint(e, a)), "mulAdjoint(e, sum[token→batch](a))"],
  // Not pulled out: NaN and infinity would come out otherwise, or the factor is no factor of the whole sum.
  [mul(0, a), "mul(0, a)"],
  [sub(a, a), "sub(a, a)"],
  [div(a, a), "div(a, a)"],
  [mulAdjoint(a, Number.POSITIVE_INFINITY), "mulAdjoint(a, Infinity)"],
  [sum(mul(s, a)), "sum[token→batch](mul(s, a))"],
  [sum(mulAdjoint(a, e)), "sum[token→batch](mulAdjoint(a, e))"],
  [fold("max", neg(a), "token", "batch"), "max[token→batch](neg(a))"],
  [where(eq(a, 0), a, 0), "where(eq(a, 0), a, 0)"],
];

it.each(RULES.map(([before, after]) => [said(before), after, before] as const))("%s becomes %s", (_, after, before) => {
  expect(said(simplifier()(before))).toBe(after);
});

it("simplifies what is simple already to itself", () => {
  for (const [before] of RULES) {
    const once = simplifier()(before);
    expect(simplifier()(once)).toBe(once);
  }
});
