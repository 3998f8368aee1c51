/** Metrics that are functions: computed where they are asked for by name, and costing nothing where they are not. */
import { describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { defineLoss, type LossDefinition, mean } from "../../dsl/index.js";
import { builtins, dpo, ppo } from "../../losses/index.js";
import { eachDevice, expectError } from "./support.js";

/** Ratios 0.5, 1, 2 and 3; the clip at 0.8 and 1.2. The last token has weight 0. */
const RATIOS = [0.5, 1, 2, 3];
const ADVANTAGES = [-1, 1, 1, 1];
const WEIGHTS = [1, 2, 1, 0];
const inputs = {
  lengths: [4],
  policy_logprobs: RATIOS.map((r) => Math.log(r) - 5),
  logprobs: RATIOS.map(() => -5),
  advantages: ADVANTAGES,
  weights: WEIGHTS,
};

describe("the ppo family", () => {
  eachDevice((open) => {
    test("has the catalogue's metrics", async () => {
      const metrics = [
        "clip_fraction",
        "clip_fraction_low",
        "clip_fraction_high",
        "ratio:mean",
        "ratio:min",
        "ratio:max",
        "kl_k1",
        "kl_k2",
        "kl_k3",
      ];
      await using device = await open();
      const compiled = await device.compile<LossDefinition>(ppo);
      const got = (await compiled.forwardBackward(inputs, {}, { metrics })).metrics;
      const share = (m: (r: number) => number) => RATIOS.reduce((sum, r, t) => sum + (WEIGHTS[t] as number) * m(r), 0) / 4;
      const expected: Record<string, number> = {
        clip_fraction: 0.5,
        clip_fraction_low: 0.25,
        clip_fraction_high: 0.25,
        "ratio:mean": share((r) => r),
        "ratio:min": 0.5,
        "ratio:max": 2,
        kl_k1: share((r) => -Math.log(r)),
        kl_k2: share((r) => Math.log(r) ** 2 / 2),
        kl_k3: share((r) => r - 1 - Math.log(r)),
      };
      expect(Object.keys(got).sort()).toEqual(["loss:sum", ...metrics].sort());
      for (const [name, value] of Object.entries(expected)) expect(got[name], name).toBeCloseTo(value, 5);
      expect(Object.keys((await compiled.forwardBackward(inputs)).metrics)).toEqual(["loss:sum"]);
      await expectError("USAGE", () => compiled.forwardBackward(inputs, {}, { metrics: ["clip_fractoin"] }), "clip_fraction");
    });
  });
});

test.each(Object.values(builtins).map((loss) => [loss.name, loss] as const))("none of %s costs anything unasked", (_, loss) => {
  const bare = defineLoss({
    name: loss.name,
    inputs: Object.fromEntries(Object.entries(loss.inputs).map(([key, { space }]) => [key, space])),
    config: Object.fromEntries(Object.entries(loss.config).map(([key, { value }]) => [key, value])),
    loss(policy, given, config) {
      const returned = loss.loss(policy, given as never, config as never);
      return typeof returned === "object" && "loss" in returned ? returned.loss : returned;
    },
  });
  const bodies = (l: Parameters<typeof compilePlan>[0]["loss"], metrics?: string[]) =>
    compilePlan({ loss: l, logits: "bf16", metrics }).plan.kernels.map(({ body }) => body);
  expect(bodies(loss)).toEqual(bodies(bare as never));
  expect(bodies(loss, [])).toEqual(bodies(bare as never));
});

test("a plain metric comes back unasked, and not where others are chosen", () => {
  const loss = defineLoss({
    name: "m",
    loss: (policy) => ({ loss: policy.logprobs, metrics: { plain: mean(policy.logprobs), asked: () => 1 } }),
  });
  const keys = (metrics?: string[]) => compilePlan({ loss, logits: "f32", metrics }).plan.results.metrics.map(({ key }) => key);
  expect(keys()).toEqual(["plain"]);
  expect(keys(["asked"])).toEqual(["asked"]);
});

test("pairs have accuracy and margin, without a sweep more", () => {
  const { plan } = compilePlan({ loss: dpo, logits: "bf16", metrics: ["accuracy", "margin"] });
  expect(plan.sweeps).toBe(2);
});
