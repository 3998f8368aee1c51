/** Memory of a call that lies in the same place and may: part of the suite of every device. */
import { describe, expect, test } from "vitest";
import { defineLoss, exp, type LossDefinition, mul, sub, variance } from "../../dsl/index.js";
import { cross_entropy, forward_kl, ppo } from "../../losses/index.js";
import type { Device, ForwardBackwardOptions, LossInputs, LossResult } from "../../runtime/devices/device.js";
import { numbers } from "./oracle.js";
import { crossEntropyInputs, expectClose, LENGTHS, LOGITS, ppoInputs, TARGETS } from "./support.js";

/** The ratio to earlier logprobs, coupled, so that a step after the first reads them again. */
const coupled = defineLoss({
  name: "coupled ratio",
  inputs: { logprobs: "token" },
  loss: (policy, inputs) => mul(variance(policy.logprobs), exp(sub(policy.logprobs, inputs.logprobs))),
});

export function overlapSuite(open: () => Promise<Device>): void {
  describe("memory in the same place", () => {
    test("inputs that are only read may be one another", async () => {
      const device = await open();
      const compiled = await device.compile(forward_kl);
      const logits = Float32Array.from(LOGITS);
      const batch = { lengths: LENGTHS, target_tokens: TARGETS };
      const apart = await compiled.forwardBackward({ ...batch, logits, teacher_logits: logits.slice() });
      const together = await compiled.forwardBackward({ ...batch, logits, teacher_logits: logits });
      expect(numbers(together.gradLogits)).toEqual(numbers(apart.gradLogits));
      const read = await (await device.compile(ppo)).forwardBackward({
        ...ppoInputs(),
        logprobs: logits.subarray(0, 3),
        advantages: logits.subarray(0, 3),
      });
      expect(Number.isFinite(read.loss)).toBe(true);
    });

    test("inPlace beside numbers that touch the logits, and do not overlap them", async () => {
      const compiled = await (await open()).compile(cross_entropy);
      const memory = new Float32Array(LOGITS.length + 3).fill(0.5);
      const [logits, weights] = [memory.subarray(0, LOGITS.length), memory.subarray(LOGITS.length)];
      logits.set(LOGITS);
      const apart = await compiled.forwardBackward({ ...crossEntropyInputs(), weights: [0.5, 0.5, 0.5] });
      await compiled.forwardBackward({ ...crossEntropyInputs(), logits, weights }, {}, { inPlace: true });
      expectClose(logits, numbers(apart.gradLogits), 1e-7);
      expect(weights).toEqual(new Float32Array(3).fill(0.5));
    });

    test("inPlace where what overlaps is converted, and so read from a copy", async () => {
      const compiled = await (await open()).compile(cross_entropy);
      const logits = new Float32Array(16).subarray(0, LOGITS.length);
      logits.set(LOGITS);
      const weights = new Float64Array(logits.buffer, 8, 3);
      const given = { ...crossEntropyInputs(), logits, weights };
      const apart = await compiled.forwardBackward({ ...given, logits: Float32Array.from(LOGITS), weights: Array.from(weights) });
      const { loss } = await compiled.forwardBackward(given, {}, { inPlace: true });
      expect(loss).toBe(apart.loss);
      expectClose(logits, numbers(apart.gradLogits), 1e-7);
    });

    test("inPlace over policy_logprobs that are the logprobs to compare with", async () => {
      const compiled = await (await open()).compile(coupled);
      const values = [-0.5, -1, -2];
      const apart = await compiled.forwardBackward({ lengths: LENGTHS, policy_logprobs: values, logprobs: values });
      const policy_logprobs = Float32Array.from(values);
      const inputs = { lengths: LENGTHS, policy_logprobs, logprobs: policy_logprobs };
      const { loss } = await compiled.forwardBackward(inputs, {}, { inPlace: true });
      expect(loss).toBe(apart.loss);
      expectClose(policy_logprobs, numbers(apart.gradLogprobs), 1e-7);
    });

    test("a sum of the head's gradient in numbers that the call reads", async () => {
      const device = await open();
      if (device.native && !device.native.hostMemory) return;
      const compiled = await device.compile<LossDefinition>(cross_entropy);
      const states = () => ({ hidden: Float32Array.of(1, 2, 3, 4, 5, 6), head: Float32Array.of(0.5, -1, 2, 1) });
      const run = (given: Partial<LossInputs>, options: ForwardBackwardOptions): Promise<LossResult> =>
        compiled.forwardBackward(
          { lengths: LENGTHS, target_tokens: [0, 1, 1], ...states(), ...given },
          {},
          // One token at a time, and nothing that could fail: the sum would be added to while it is read.
          { maxBytes: 1, nonFinite: "propagate", ...options },
        );
      const weights = Float32Array.of(1, 0.5, 2);
      const { gradHead } = await run({ weights }, {});
      const memory = Float32Array.of(...weights, 4);
      await run({ weights: memory.subarray(0, 3) }, { gradHead: memory });
      expectClose(
        memory,
        [...weights, 4].map((x, i) => x + (numbers(gradHead)[i] as number)),
      );
    });
  });
}
