import { describe, expect, it } from "vitest";
import { authoredResults, outputName } from "../../codegen/loss-program.js";
import { neededOf } from "../../codegen/program.js";
import { topological } from "../../dsl/graph.js";
import { add, amax, eq, mean, mul, neg, sum, where } from "../../dsl/index.js";
import { lossIn, lossOf, programOf, said } from "./graphs.js";

/** The loss, without the 0 that its terms are added to. */
const lossText = (f: Parameters<typeof lossOf>[0]) =>
  said(lossIn(programOf(lossOf(f), "policy_logprobs"))).replace(/^add\(0, (.*)\)$/, "$1");
const LP = "policy_logprobs";
const SEQUENCE = "gt(sum[token→sequence](where(ne(weights, 0), 1, 0)), 0)";
const BATCH = "gt(sum[token→batch](where(ne(weights, 0), 1, 0)), 0)";

describe("the program of a loss", () => {
  it("multiplies a token loss by its weights, and lets a token of weight 0 contribute 0", () => {
    expect(lossText(({ policy }) => neg(policy.logprobs))).toBe(
      `sum[token→batch](where(ne(weights, 0), mul(weights, neg(${LP})), 0))`,
    );
  });

  it("only masks a sequence loss and a reduction", () => {
    expect(lossText(({ policy, s }) => mul(s, sum(policy.logprobs, "tokens")))).toBe(
      `sum[sequence→batch](where(${SEQUENCE}, mul(s, sum[token→sequence](where(ne(weights, 0), ${LP}, 0))), 0))`,
    );
  });

  it("puts a scalar to 0 where no token counts, but a sum is that by itself", () => {
    expect(lossText(({ policy }) => amax(policy.logprobs))).toBe(
      `where(${BATCH}, max[token→batch](where(ne(weights, 0), ${LP}, -Infinity)), 0)`,
    );
    expect(lossText(({ policy }) => sum(policy.logprobs))).toBe(`sum[token→batch](where(ne(weights, 0), ${LP}, 0))`);
  });

  it("sums each term of a list in its own space", () => {
    const { seeds, checks } = programOf(lossOf(({ policy, s }) => [policy.logprobs, s, mean(policy.logprobs)]));
    expect(seeds.map(({ x }) => x.space)).toEqual(["batch", "batch", "batch"]);
    expect(checks.map(({ space }) => space)).toEqual(["token", "sequence"]);
    // A term of the batch that is broadcast into a token loss would count once per token.
    const once = programOf(lossOf(({ policy }) => [policy.logprobs, mean(policy.logprobs)]));
    const perToken = programOf(lossOf(({ policy }) => add(policy.logprobs, mean(policy.logprobs))));
    expect(lossIn(once)).not.toBe(lossIn(perToken));
  });

  it("leaves no reduction, also in metrics and outputs", () => {
    const graph = programOf(
      lossOf(({ policy, s }) => ({
        loss: policy.logprobs,
        metrics: { m: mean(s) },
        outputs: { o: sum(policy.logprobs, "tokens"), w: where(eq(s, 1), 1, 1) },
      })),
    );
    for (const x of topological([...graph.seeds.map(({ x }) => x), ...neededOf(graph)])) expect(x.op).not.toBe("reduce");
    expect([...authoredResults(graph, outputName)].map(([key, { space }]) => [key, space])).toEqual([
      ["o", "sequence"],
      ["w", "sequence"],
    ]);
  });
});
