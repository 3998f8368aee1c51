/**
 * Losses of many terms, metrics, kernels: what a loop over constants makes of a list. The work of compiling grows with their number, and not faster.
 */
import { afterAll, describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { emitText, KERNELS_MARK } from "../../codegen/emit/index.js";
import { explainLoss } from "../../codegen/explain/index.js";
import { explanationText } from "../../codegen/explain/text.js";
import type { Plan } from "../../codegen/loss-plan.js";
import {
  add,
  amax,
  defineLoss,
  div,
  type Expr,
  exp,
  type LossDefinition,
  logsumexp,
  mean,
  mul,
  type Num,
  openDevice,
  square,
  sub,
  sum,
  tanh,
} from "../../index.js";
import { compileBatch } from "../../runtime/compiled/compile-batch.js";
import { withoutOptimisation } from "../optimisation.js";
import { numbers, oracle } from "../runtime/oracle.js";
import { crossEntropyInputs, expectClose, VOCAB } from "../runtime/support.js";

withoutOptimisation();

const list = (n: number, of: (share: number, i: number) => Num): Num[] => Array.from({ length: n }, (_, i) => of((i + 1) / n, i));
const named = (letter: string, values: readonly Num[]) => Object.fromEntries(values.map((x, i) => [`${letter}${i}`, x]));
const nested = (start: Expr, n: number, step: (x: Expr, i: number) => Expr): Expr => {
  let x = start;
  for (let i = 0; i < n; i++) x = step(x, i);
  return x;
};

/** Each of them with n of something. */
const LONG: Readonly<Record<string, (n: number) => LossDefinition>> = {
  "terms per token": (n) => defineLoss({ name: "tokens", loss: (p) => list(n, (c) => square(add(p.logprobs, c))) }),
  "terms per sequence": (n) =>
    defineLoss({ name: "sequences", loss: (p) => list(n, (c) => square(mean(exp(mul(p.logprobs, c)), "tokens"))) }),
  "terms of the batch": (n) => defineLoss({ name: "batch", loss: (p) => list(n, (c) => mean(tanh(mul(p.logprobs, c)))) }),
  "metrics of several spaces": (n) =>
    defineLoss({
      name: "metrics",
      loss: (p) => ({
        loss: p.logprobs,
        metrics: named(
          "m",
          list(n, (c, i) => {
            const x = mul(p.logprobs, c);
            return i % 3 === 0 ? mean(exp(x)) : i % 3 === 1 ? mean(square(sum(x, "tokens"))) : amax(sub(p.entropy, x));
          }),
        ),
      }),
    }),
  outputs: (n) =>
    defineLoss({
      name: "outputs",
      loss: (p) => ({
        loss: p.logprobs,
        outputs: named(
          "o",
          list(n, (c) => exp(mul(p.logprobs, c))),
        ),
      }),
    }),
  "nested means": (n) =>
    defineLoss({
      name: "means",
      loss: (p) => square(nested(p.logprobs, n, (x, i) => (i % 2 ? sub(x, mean(square(x))) : sub(x, mean(x, "tokens"))))),
    }),
  "long factors known before the row": (n) =>
    defineLoss({
      name: "factors",
      inputs: { advantages: "token" },
      loss: (p, { advantages }) =>
        mul(
          p.logprobs,
          nested(advantages, n, (x, i) => tanh(add(x, div(i, n)))),
        ),
    }),
  "factors per sequence known before the row": (n) =>
    defineLoss({
      name: "sequence_factors",
      inputs: { rewards: "sequence" },
      loss: (p, { rewards }) => {
        let x: Num = rewards;
        return list(n, (c) => {
          x = tanh(add(mul(x, c), square(sub(x, c))));
          return mul(p.logprobs, x);
        });
      },
    }),
  "sums over the row": (n) => defineLoss({ name: "rows", loss: (p) => list(n, (c) => logsumexp(mul(p.logits, c), "vocab")) }),
};

const inputsOf = (loss: LossDefinition) => ({
  ...crossEntropyInputs(),
  ...("advantages" in loss.inputs && { advantages: [0.5, -0.9, 0.99] }),
  ...("rewards" in loss.inputs && { rewards: [0.5, -0.9] }),
});

/** Characters of the kernels, and of the longest. */
function lengths({ kernels }: Plan) {
  return {
    all: kernels.reduce((sum, { body }) => sum + body.length, 0),
    most: Math.max(...kernels.map(({ body }) => body.length)),
  };
}

describe.each(Object.entries(LONG))("%s", (_, loss) => {
  const plan = (n: number) => compilePlan({ loss: loss(n), logits: "f32" }).plan;

  test("twice as many have kernels twice as long in sum", () => {
    const [half, whole] = [plan(150), plan(300)];
    expect(lengths(whole).all / lengths(half).all).toBeLessThan(2.3);
  });

  test("twice as many take about twice the time to plan", () => {
    /** Milliseconds that this process computes, in one go: what else runs here does not count. */
    const time = (n: number) => {
      const before = process.cpuUsage();
      plan(n);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    };
    plan(100);
    // Quadratic is 4. A collection of garbage may fall on one side: one good go is enough.
    let ratio = Number.POSITIVE_INFINITY;
    for (let go = 0; go < 8 && ratio > 2.6; go++)
      ratio = Math.min(ratio, Math.min(time(400), time(400)) / Math.min(time(200), time(200)));
    expect(ratio).toBeLessThan(2.6);
  });
});

test.each(["terms per sequence", "terms of the batch", "metrics of several spaces", "outputs"])(
  "%s: no kernel writes all of them",
  (name) => {
    const { kernels } = compilePlan({ loss: (LONG[name] as (n: number) => LossDefinition)(1000), logits: "f32" }).plan;
    for (const { id, arguments: args } of kernels) {
      const written = args.filter((argument) => "writes" in argument && argument.writes);
      // Each value that is folded has partial sums, counters and a result beside it.
      expect(written.length, id).toBeLessThanOrEqual(4 * 64 + 20);
    }
  },
);

test.each(Object.entries(LONG))("%s: explain finds a name for every shared part", (_, loss) => {
  expect(explanationText(explainLoss(loss(200), { dtype: "f32", vocab: 1000 })).length).toBeGreaterThan(100);
});

test("a C++ compiler is asked for less where kernels are long, and only there", () => {
  const textOf = (n: number) => {
    const { plan } = compilePlan({
      loss: (LONG["metrics of several spaces"] as (n: number) => LossDefinition)(n),
      logits: "f32",
    });
    return emitText(plan, { target: "cpu", architecture: "", vocab: 1000 });
  };
  expect(textOf(8).long).toBeUndefined();
  expect(textOf(8).text.split(KERNELS_MARK)[1]).not.toContain("fold_tails");
  expect(textOf(300).long).toBe(true);
  expect(textOf(300).text.split(KERNELS_MARK)[1]).toContain("fold_tails");
});

describe.each(["cpu", "emulated"])("on %s", async (name) => {
  const few = name === "cpu" ? 90 : 40;
  const device = await openDevice(name);
  afterAll(() => device.dispose());
  const losses = Object.values(LONG).map((loss) => loss(few));
  const compiled = compileBatch(device, losses, { dtype: "f32", vocab: VOCAB });

  test.each(Object.keys(LONG).map((of, i) => [of, i] as const))(
    "%s match reference",
    async (_, i) => {
      const loss = losses[i] as LossDefinition;
      const found = await (await compiled)[i]?.forwardBackward(inputsOf(loss));
      const expected = await oracle(loss, inputsOf(loss));
      expectClose([found?.loss as number], [expected.loss], 2e-5);
      expectClose(numbers(found?.gradLogits), numbers(expected.gradLogits), 2e-5);
      expectClose(Object.values(found?.metrics ?? {}), Object.values(expected.metrics), 2e-5);
      for (const [key, values] of Object.entries(expected.outputs))
        expectClose(numbers(found?.outputs[key]), numbers(values), 2e-5);
    },
    120_000,
  );
});
