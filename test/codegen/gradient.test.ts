import { describe, expect, it } from "vitest";
import { simplifier } from "../../codegen/passes/simplify.js";
import { add, floor, mean, mul, neg, square, stopGradient, sum } from "../../dsl/index.js";
import { differentiated, gradientIn, lossOf, said } from "./graphs.js";

const gradient = (f: Parameters<typeof lossOf>[0], from: "logits" | "policy_logprobs" = "policy_logprobs") => {
  const simplify = simplifier();
  return said(simplify(gradientIn(differentiated(lossOf(f), from))));
};

describe("gradient", () => {
  it("starts from 1 at the loss and masks what does not count", () => {
    expect(gradient(({ policy }) => sum(policy.logprobs))).toBe("where(ne(weights, 0), 1, 0)");
    expect(gradient(({ policy }) => neg(policy.logprobs))).toBe("neg(weights)");
  });

  it("sums back what was broadcast", () => {
    // s meets each token of its sequence: the adjoint of a sequence's sum gathers over its tokens.
    expect(gradient(({ policy, a }) => sum(mul(a, sum(policy.logprobs, "tokens"))))).toBe(
      "where(ne(weights, 0), sum[token→sequence](where(ne(weights, 0), a, 0)), 0)",
    );
  });

  it("adds what comes along several ways", () => {
    const text = gradient(({ policy, a, b }) => sum(add(mul(a, policy.logprobs), mul(policy.logprobs, b))));
    expect(text).toMatch(
      /^add\(where\(ne\(weights, 0\), [ab], 0\), where\(ne\(weights, 0\), [ab], 0\)\)$|^where\(ne\(weights, 0\), add\([ab], [ab]\), 0\)$/,
    );
  });

  it("is 0 where nothing of the policy is in the loss, or no adjoint passes", () => {
    expect(gradient(({ a }) => a)).toBe("0");
    expect(gradient(({ policy, a }) => mul(a, stopGradient(policy.logprobs)))).toBe("0");
    expect(gradient(({ policy }) => floor(policy.logprobs))).toBe("0");
    expect(gradient(({ policy }) => square(stopGradient(mean(policy.logprobs))), "logits")).toBe("0");
  });

  it("of a row is the target less the softmax, times a factor per token", () => {
    expect(gradient(({ policy }) => neg(policy.logprobs), "logits")).toBe("mulAdjoint(neg(weights), sub(isAt, softmax(logits)))");
    expect(gradient(({ policy }) => policy.logsumexp, "logits")).toBe("mulAdjoint(weights, softmax(logits))");
  });
});
