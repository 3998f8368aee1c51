/**
 * Where sums and gradient of a row need an exponential of each entry and nothing else of it, the CPU leaves it in the row of the gradient:
 * `cache_exp` of the preludes.
 */
import { describe, expect, test } from "vitest";
import { emitText } from "../../codegen/emit/index.js";
import {
  atTarget,
  defineLoss,
  div,
  type LossDefinition,
  logSoftmax,
  mean,
  mul,
  neg,
  softmax,
  stopGradient,
  sub,
  sum,
} from "../../dsl/index.js";
import { cross_entropy, ppo, ppo_entropy } from "../../losses/index.js";
import { agrees, batchOf, gradientOf, inputsFor } from "../emulated/batch.js";
import { withoutOptimisation } from "../optimisation.js";
import { openOnly } from "./support.js";

withoutOptimisation();

const cooled = defineLoss({ name: "cooled", loss: (policy) => neg(atTarget(logSoftmax(mul(0.7, policy.logits)))) });
/** The chance that two draws give the same entry: its sums meet by no rule, and so are folded after the maximum has met. */
const collision = defineLoss({
  name: "collision",
  loss: (policy) => {
    const p = softmax(policy.logits);
    return sum(mul(p, p), "vocab");
  },
});
/** A temperature that depends on other tokens: its exponentials are those of a second sweep. */
const tempered = defineLoss({
  name: "tempered",
  loss: (policy) => neg(atTarget(logSoftmax(div(policy.logits, sub(1, stopGradient(mean(policy.logprobs, "tokens"))))))),
});
const LOSSES = { ppo, cooled, collision, tempered } as never as Record<string, LossDefinition>;
/** Rows that are worked on together and one by one, of whole packets and with an end that is none. */
const VOCABULARIES = [1, 17, 64, 1024, 1025, 5000];

test("which losses do", async () => {
  const device = await openOnly("cpu");
  const bodies = async (loss: unknown) => {
    const plan = (await device.compile(loss as LossDefinition)).plan();
    return emitText(plan, { target: "cpu", architecture: "", vocab: 100 }).text.split("// ---- kernels ----")[1];
  };
  for (const loss of [ppo, cross_entropy]) expect(await bodies(loss)).toMatch(/fold_part<Sum>\(team, .*, cache_exp\(/);
  expect(await bodies(collision)).toMatch(/ fold<Sum, Sum>\(team, .*, cache_exp\(/);
  expect(await bodies(tempered)).toMatch(/struct K1[\s\S]*<Sum>\(team, .*, cache_exp\(/);
  // The logprobs that every result has are another exponential than that of cooled logits.
  for (const loss of [ppo_entropy, cooled]) expect(await bodies(loss)).not.toContain("cache_exp");
});

describe.each(["f32", "bf16", "f16"] as const)("%s", (dtype) => {
  test.each(Object.keys(LOSSES))("%s agrees with reference", async (name) => {
    const device = await openOnly("cpu");
    for (const vocab of VOCABULARIES)
      await agrees(device, LOSSES[name] as LossDefinition, batchOf([19], vocab, dtype, false, vocab));
  });

  test("a new gradient has the bits of one in place", async () => {
    const compiled = await (await openOnly("cpu")).compile(LOSSES.ppo as LossDefinition, { dtype });
    for (const vocab of VOCABULARIES) {
      const batch = batchOf([3, 16], vocab, dtype, false, vocab);
      const inputs = () => inputsFor(LOSSES.ppo as LossDefinition, batch.inputs());
      const given = inputs();
      const apart = await compiled.forwardBackward(given);
      expect(given, "what was given stays as it was").toEqual(inputs());
      const inPlace = await compiled.forwardBackward(inputs(), {}, { inPlace: true });
      expect([inPlace.loss, inPlace.logprobs]).toEqual([apart.loss, apart.logprobs]);
      expect(inPlace.gradLogits).toEqual(apart.gradLogits);
    }
  });

  test("an entry that is not there has no gradient, nor has one whose exponential is 0", async () => {
    const device = await openOnly("cpu");
    const compiled = await device.compile<LossDefinition>(cross_entropy, { dtype });
    for (const vocab of [20, 3000]) {
      const batch = batchOf([17], vocab, dtype, false, vocab);
      const inputs = inputsFor(cross_entropy as never as LossDefinition, batch.inputs());
      const none = { f32: Number.NEGATIVE_INFINITY, bf16: 0xff80, f16: 0xfc00 }[dtype];
      const low = { f32: -300, bf16: 0xc396, f16: 0xdcb0 }[dtype];
      const { logits, target_tokens } = inputs as never as {
        logits: Float32Array | { data: Uint16Array };
        target_tokens: Int32Array;
      };
      const entries = "data" in logits ? logits.data : logits;
      const at = (t: number) => t * vocab + (((target_tokens[t] as number) + 1) % vocab);
      for (let t = 0; t < 17; t++) entries[at(t)] = t % 2 ? none : low;
      const gradient = gradientOf((await compiled.forwardBackward(inputs, {}, { inPlace: true })).gradLogits as never, dtype);
      for (let t = 0; t < 17; t++) expect(Math.abs(gradient[at(t)] as number)).toBe(0);
    }
  });
});

test.each(Object.keys(LOSSES))("lanes compute it again: %s on the emulated device", async (name) => {
  const device = await openOnly("emulated");
  for (const vocab of [17, 3000]) await agrees(device, LOSSES[name] as LossDefinition, batchOf([5], vocab, "f32", false, vocab));
});
