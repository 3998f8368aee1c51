import { expect, it } from "vitest";
import { neededOf } from "../../codegen/program.js";
import { topological } from "../../dsl/graph.js";
import { mul, neg, stopGradient } from "../../dsl/index.js";
import { gradientIn, logprobsIn, lossOf, lowered, said } from "./graphs.js";

const program = lowered(lossOf(({ policy }) => neg(mul(stopGradient(policy.logprobs), policy.logsumexp))));
const MAX = "max[vocab→token](logits)";
const SUM = `sum[vocab→token](exp2(exponent(logits, ${MAX})))`;

it("writes a logprob as (z_t − m) − log S, so that it is never above 0", () => {
  expect(said(logprobsIn(program))).toBe(`logprob(at(logits), ${MAX}, ${SUM})`);
});

it("leaves folds over the row, and stopGradient has done its work", () => {
  const ops = new Set(topological(neededOf(program)).map(({ op }) => op));
  for (const gone of ["stopGradient", "logprobAt", "rowLogsumexp", "softmax", "logSoftmax", "reduce"])
    expect(ops).not.toContain(gone);
  expect(said(gradientIn(program))).toContain(`mul(exp2(exponent(logits, ${MAX})), div(1, ${SUM}))`);
});
