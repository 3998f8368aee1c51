/** A loss by the name under which it ships, one derived from it by a copy, and one that calls it give its bits. */
import { expect, test } from "vitest";
import { defineLoss } from "../../dsl/index.js";
import { losses } from "../../index.js";
import { eachDevice, ppoInputs } from "./support.js";

const derived = defineLoss({ ...losses.ppo, name: "derived", config: { ...losses.ppo.config, clip_low_threshold: 0.9 } });
const composed = defineLoss({
  name: "composed",
  inputs: { logprobs: "token", advantages: "token" },
  config: { low: 0.9 },
  loss: (policy, inputs, { low }) =>
    losses.ppo.loss(policy, inputs, {
      clip_low_threshold: low,
      clip_high_threshold: losses.ppo.config.clip_high_threshold.value,
    }),
});

eachDevice((open) => {
  test("ppo by its name, derived and composed", async () => {
    const device = await open();
    const config = { clip_low_threshold: 0.9 };
    const expected = await (await device.compile(losses.ppo, { config })).forwardBackward(ppoInputs());
    const named = await device.compile("ppo");
    expect(named.loss).toBe(losses.ppo);
    expect(await named.forwardBackward(ppoInputs(), config)).toEqual(expected);
    const { metrics } = await named.forwardBackward(ppoInputs(), config, { metrics: ["clip_fraction"] });
    expect(metrics).toEqual({ ...expected.metrics, clip_fraction: expect.any(Number) });
    for (const loss of [derived, composed])
      expect(await (await device.compile<typeof derived | typeof composed>(loss)).forwardBackward(ppoInputs())).toEqual(expected);
  });
});
