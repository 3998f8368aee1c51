/** Losses whose graphs share much: walked as trees they would take longer than anybody waits. */
import { describe, expect, test } from "vitest";
import { sampled } from "../sample.js";
import { folder, lossc } from "./lossc.js";

const LEVELS = 40;

const SHAPES: Readonly<Record<string, string>> = {
  "sums of rows": "(y) => y + 0.5 * y",
  "products of rows": "(y) => y * y",
  "polynomials of rows": "(y) => y * (y + 1)",
  "branches of rows": "(y) => (y > 0 ? y * (1 - y) : -y)",
  "branches that give nothing": "(y) => (y > 0 ? y * y : 0)",
};

const source = (
  step: string,
  start: string,
  loss: string,
) => `import { type Expr, atTarget, defineLoss, softmax, sum } from "lossc";
const step = ${step.replace("(y)", "(y: Expr): Expr")};
export const shared = defineLoss({
  name: "shared",
  loss: ({ logits, logprobs }) => {
    let y: Expr = ${start};
    for (let i = 0; i < ${LEVELS}; i++) y = step(y);
    return ${loss};
  },
});
`;

const PLACES: readonly (readonly [where: string, start: string, loss: string])[] = [
  ["summed over the row", "logits", 'sum(y, "vocab")'],
  ["at the target", "logits", "atTarget(y)"],
  ["as a row of its own", "logits", "-atTarget(softmax(y))"],
  ["per token", "logprobs", "-y"],
];

describe.each(Object.entries(SHAPES))("%s, forty deep", (shape, step) => {
  test.each(sampled(`places of ${shape}`, 1, PLACES))(
    "%s, are compiled and explained",
    async (_where, start, loss) => {
      const root = folder({ "shared.loss.ts": source(step, start, loss) });
      const runs = ["emit", "explain"].map((command) => lossc([command, "shared.loss.ts#shared"], { cwd: root }));
      for (const run of await Promise.all(runs)) expect(run).toMatchObject({ code: 0, stderr: "" });
    },
    20_000,
  );
});
