import { expect, test } from "vitest";
import { ppo } from "../../losses/index.js";
import type { TypedArray } from "../../runtime/devices/dtypes.js";
import { TrainingClient, type TrainingPolicy } from "../../runtime/training/index.js";
import { eachDevice, expectError, LOGITS } from "../runtime/support.js";
import { mistakes } from "./support.js";

/** A policy that always yields the same logits and adds up what comes back. */
function tablePolicy(): TrainingPolicy & { readonly gathered: Float64Array } {
  const gathered = new Float64Array(LOGITS.length);
  return {
    gathered,
    forward: async () => ({ logits: Float32Array.from(LOGITS) }),
    backward: async (gradient) => {
      const added = Float64Array.from(gradient as TypedArray, (g, i) => g + (gathered[i] as number));
      gathered.set(added);
    },
    optimStep: async () => void gathered.fill(0),
    state: async () => ({ step: 0, tensors: {} }),
    load: async () => {},
  };
}

mistakes("LOSS_UNKNOWN", [
  {
    name: "compiling a name that no loss has",
    call: ({ device }) => device.compile("p_p_o" as "ppo"),
    says: ['there is no loss "p_p_o"', 'did you mean "ppo"?', "importance_sampling", "defineLoss makes others"],
  },
  {
    name: "compiling a name that every object inherits",
    call: ({ device }) => device.compile("constructor" as "ppo"),
    says: ['there is no loss "constructor"', "importance_sampling"],
  },
]);

eachDevice((open) => {
  const data = [{ modelInput: [0, 1, 2], lossFnInputs: { target_tokens: [2, 3, 1] } }];

  test.each([
    ["cross_entropi", 'did you mean "cross_entropy"?'],
    ["constructor", "importance_sampling"],
  ])('LOSS_UNKNOWN: "%s"', async (name, said) => {
    const policy = tablePolicy();
    const client = new TrainingClient({ policy, device: await open() });
    const before = await client.forwardBackward(data, "cross_entropy");
    const gathered = [...policy.gathered];
    expect(gathered.some((g) => g !== 0)).toBe(true);
    await expectError("LOSS_UNKNOWN", () => client.forwardBackward(data, name), `"${name}"`, said);
    for (const call of ["forwardBackward", "forwardBackwardCustom"] as const)
      await expectError(
        "LOSS_UNKNOWN",
        () => client[call](data, { ...ppo, name }),
        "a copy of it is none",
        "defineLoss({ ...ppo",
      );
    expect([...policy.gathered]).toEqual(gathered);
    expect((await client.forwardBackward(data, "cross_entropy")).loss).toBe(before.loss);
    expect([...policy.gathered]).toEqual(gathered.map((g) => 2 * g));
  });
});
