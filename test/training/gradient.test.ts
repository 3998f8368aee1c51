/** The gradient of a whole model, through policy, loss and back, beside finite differences of its loss. */
import { expect, test } from "vitest";
import { NgramModel } from "../../examples/model.js";
import { Random } from "../../examples/random.js";
import { zLoss } from "../../examples/z-loss.js";
import { type Datum, type LossDefinition, type PolicyState, TrainingClient } from "../../index.js";
import { cross_entropy, ppo } from "../../losses/index.js";
import { expectClose, expectError } from "../runtime/support.js";
import { eachTrainingDevice, everyBit, noise } from "./support.js";

const SHAPE = { vocab: 6, context: 3, width: 4, hidden: 7 };

function data(): Datum[] {
  const sequences = [
    [0, 1, 2, 3, 4, 5],
    [5, 5, 0],
    [2, 4, 1, 1],
  ];
  return sequences.map((sequence, i) => {
    const target_tokens = sequence.slice(1);
    const [weights, advantages] = [20, 40].map((seed) => noise(target_tokens.length, seed + i)) as [Float32Array, Float32Array];
    const lossFnInputs = { target_tokens, weights: weights.map((x) => 1 + x / 2), advantages };
    return { modelInput: sequence.slice(0, -1), lossFnInputs };
  });
}

/** Inputs of each loss. */
const CASES: readonly { readonly loss: LossDefinition; readonly keys: readonly string[] }[] = [
  { loss: cross_entropy, keys: ["weights"] },
  { loss: ppo, keys: ["weights", "logprobs", "advantages"] },
  { loss: zLoss, keys: ["weights"] },
];

/** The state with one tensor moved along a direction. */
function moved(state: PolicyState, name: string, direction: Float32Array, by: number): PolicyState {
  const tensor = state.tensors[name];
  if (!tensor) throw new Error(`no ${name}`);
  const data = tensor.data.map((x, i) => x + by * (direction[i] as number));
  return { ...state, tensors: { ...state.tensors, [name]: { ...tensor, data } } };
}

eachTrainingDevice((open) => {
  test.each(CASES)("$loss.name", async ({ loss, keys }) => {
    const device = await open();
    const model = await NgramModel.create(device, SHAPE, new Random(3));
    const client = new TrainingClient({ policy: model, device });
    // Biases away from 0, so that nothing is 0 by chance.
    const state = moved(await model.state(), "weights/hidden.bias", noise(SHAPE.hidden, 50), 0.3);
    await model.load(state);
    // Ratios within the bounds, above and below, and far from the bounds themselves, where there is no gradient to compare with.
    const { lossFnOutputs } = await client.forward(
      data().map(({ modelInput, lossFnInputs: { target_tokens } }) => ({ modelInput, lossFnInputs: { target_tokens } })),
    );
    const given = data().map(({ modelInput, lossFnInputs: plain }, i) => {
      const logprobs = lossFnOutputs[i]?.logprobs.map((logprob, t) => logprob - ([0.02, 0.7, -0.7][t % 3] as number));
      const lossFnInputs: Datum["lossFnInputs"] = { ...plain, ...(logprobs && { logprobs }) };
      const kept = Object.fromEntries(keys.map((key) => [key, lossFnInputs[key] as Float32Array]));
      return { modelInput, lossFnInputs: { target_tokens: lossFnInputs.target_tokens, ...kept } };
    });
    const config = loss === zLoss ? { z_coefficient: 0.1 } : {};
    await client.forwardBackward(given, loss, config);
    for (const [name, { data: gradient }] of Object.entries(await model.parameters.gradients())) {
      const direction = noise(gradient.length, 60);
      const h = 1e-2;
      const losses = [];
      for (const by of [h, -h]) {
        await client.policy.load(moved(state, `weights/${name}`, direction, by));
        losses.push((await client.forward(given, loss, config)).loss);
      }
      const expected = ((losses[0] as number) - (losses[1] as number)) / (2 * h);
      const found = gradient.reduce((total, g, i) => total + g * (direction[i] as number), 0);
      expect(Math.abs(found - expected), `${name}: ${found} beside ${expected}`).toBeLessThan(2e-3 * (1 + Math.abs(expected)));
      expect(Math.abs(expected)).toBeGreaterThan(1e-3);
    }
  });

  test("what the model says of a next character is what it is trained on", async () => {
    const device = await open();
    const model = await NgramModel.create(device, SHAPE, new Random(3));
    const sequence = [1, 4, 0, 2, 5];
    const { hidden, head } = await model.forward({ tokens: Int32Array.from(sequence), lengths: [5] }, {});
    if (!("memory" in hidden) || !("memory" in head)) throw new Error("not on the device");
    const [states, entries] = [(await hidden.read()) as Float32Array, (await head.read()) as Float32Array];
    const { vocab, hidden: width } = SHAPE;
    const rows = Float32Array.from({ length: sequence.length * vocab }, (_, i) => {
      const state = states.subarray(Math.floor(i / vocab) * width).subarray(0, width);
      return state.reduce((sum, x, h) => sum + x * (entries[(i % vocab) * width + h] as number), 0);
    });
    for (let t = 1; t <= sequence.length; t++) {
      const next = await model.next([sequence.slice(0, t), [3]]);
      expectClose(next.subarray(0, SHAPE.vocab), rows.subarray((t - 1) * SHAPE.vocab, t * SHAPE.vocab));
    }
  });

  test("a token that the model does not know is refused, and nothing is lost", async () => {
    const device = await open();
    const model = await NgramModel.create(device, SHAPE, new Random(3));
    const client = new TrainingClient({ policy: model, device });
    await client.forwardBackward(
      data()
        .slice(0, 1)
        .map(({ modelInput, lossFnInputs: { target_tokens } }) => ({ modelInput, lossFnInputs: { target_tokens } })),
      "cross_entropy",
    );
    const before = await everyBit(model);
    const unknown = { modelInput: [0, 6], lossFnInputs: { target_tokens: [0, 1] } };
    await expectError(
      "TARGET_OUT_OF_RANGE",
      () => client.forwardBackward([unknown], "cross_entropy"),
      "data[0].modelInput[1]",
      "6",
    );
    expect(await everyBit(model)).toBe(before);
    model.dispose();
  });
});
