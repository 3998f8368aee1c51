/** Skipped rows of weight 0 affect the rest of the batch exactly as rows of weight 0 that are read. */
import { expect, test } from "vitest";
import {
  add,
  defineLoss,
  div,
  gt,
  type LossDefinition,
  max,
  mean,
  min,
  mul,
  neg,
  softmax,
  sub,
  sum,
  where,
} from "../../dsl/index.js";
import { gspo, ppo_entropy } from "../../losses/index.js";
import { completeBatch, gradientOf, inputsFor } from "../emulated/batch.js";
import { withoutOptimisation } from "../optimisation.js";
import { eachDevice } from "./support.js";

withoutOptimisation();

const LOSSES: Record<string, LossDefinition> = {
  "a hinge about a mean": defineLoss({ name: "hinge", loss: (p) => sum(max(sub(p.logits, mean(p.logsumexp)), 0), "vocab") }),
  "the larger of an entry and a mean": defineLoss({ name: "larger", loss: (p) => sum(max(p.logits, mean(p.logprobs)), "vocab") }),
  "a bound on probabilities by an entropy": defineLoss({
    name: "bound",
    loss: (p) => neg(sum(min(mul(softmax(p.logits), mean(p.entropy)), 0.2), "vocab")),
  }),
  "a branch on a mean": defineLoss({
    name: "branch",
    loss: (p) => sum(where(gt(p.logits, mean(p.logprobs)), mul(p.logits, mean(p.entropy)), div(p.logits, 2)), "vocab"),
  }),
  gspo: gspo as never,
  ppo_entropy: ppo_entropy as never,
};

/** Its outputs come from a row, from inputs alone, from a later sweep and from the step behind it. */
const reporting = defineLoss({
  name: "reporting",
  inputs: { advantages: "token" },
  loss: ({ logits, logprobs, entropy }, { advantages }) => {
    const perSequence = mean(logprobs, "tokens");
    return {
      loss: mul(logprobs, sub(advantages, perSequence)),
      metrics: { entropy: mean(entropy) },
      outputs: {
        logprob: logprobs,
        far: add(mul(logprobs, 2), 3),
        input: add(advantages, 5),
        row: sum(max(sub(logits, mean(logprobs)), 0), "vocab"),
        centred: sub(logprobs, add(perSequence, 1)),
        perSequence,
      },
    };
  },
});

eachDevice((open) => {
  test("outputs of tokens that are not read would be what their formulas make of a row of zeros", async () => {
    const device = await open();
    const compiled = await device.compile<LossDefinition>(reporting as never, { dtype: "f32" });
    const weights = [0, 1, 0.5, 2, 0, 1];
    for (const vocab of [5, 70, 1500]) {
      const batch = completeBatch(reporting as never, vocab, "f32");
      const given = inputsFor(reporting as never, { ...batch.inputs(), weights });
      const read = await compiled.forwardBackward(given);
      const skipped = await compiled.forwardBackward(given, {}, { skipMasked: true });
      const { perSequence, ...outputs } = skipped.outputs;
      expect(perSequence).toEqual(read.outputs.perSequence);
      expect(skipped.metrics).toEqual(read.metrics);
      for (const [name, values] of Object.entries(outputs)) {
        const expected = [...(read.outputs[name] as Float32Array)].map((v, t) => (weights[t] === 0 ? 0 : v));
        expect([...(values as Float32Array)], name).toEqual(expected);
      }
    }
  });

  test.each(Object.keys(LOSSES))("%s", async (name) => {
    const device = await open();
    const loss = LOSSES[name] as LossDefinition;
    for (const vocab of [5, 70, 1500]) {
      const batch = completeBatch(loss, vocab, "f32");
      const given = inputsFor(loss, { ...batch.inputs(), weights: [0, 1, 0.5, 2, 0, 1] });
      const compiled = await device.compile(loss, { dtype: "f32" });
      const read = await compiled.forwardBackward(given);
      const skipped = await compiled.forwardBackward(given, {}, { skipMasked: true });
      expect(skipped.loss).toBe(read.loss);
      expect(gradientOf(skipped.gradLogits as never, "f32")).toEqual(gradientOf(read.gradLogits as never, "f32"));
    }
  });
});
