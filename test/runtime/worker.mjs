// A process of its own for the tests: does one thing with the built package and prints what came of it as JSON.
import { clamp, defineLoss, exp, min, mul, neg, openDevice, sub } from "../../dist/index.js";

const ppo = defineLoss({
  name: "ppo of a process",
  inputs: { logprobs: "token", advantages: "token" },
  loss(policy, inputs) {
    const ratio = exp(sub(policy.logprobs, inputs.logprobs));
    return neg(min(mul(ratio, inputs.advantages), mul(clamp(ratio, 0.8, 1.2), inputs.advantages)));
  },
});
const batch = {
  lengths: [2, 1],
  logits: [0.5, -1, 2, 0.25, 1, 1, -0.5, 3, -2, 0.125, 0.75, 1.5],
  target_tokens: [2, 3, 1],
  logprobs: [-0.5, -0.25, -1.5],
  advantages: [1, -0.5, 2],
};

const jobs = {
  /** One loss on the CPU. */
  async loss() {
    const device = await openDevice("cpu");
    const compiled = await device.compile(ppo);
    const result = await compiled.forwardBackward(batch);
    return { device: device.name, launches: device.launches, loss: result.loss, gradient: Array.from(result.gradLogits) };
  },
  /** Opens the device named by $DEVICE, and returns its name or the error. */
  async open() {
    const device = await openDevice(process.env.DEVICE || undefined);
    const compiled = await device.compile(ppo);
    return { device: device.name, loss: (await compiled.forwardBackward(batch)).loss };
  },
};

try {
  console.log(JSON.stringify(await jobs[process.argv[2]]()));
} catch (error) {
  console.log(JSON.stringify({ error: { code: error.code, message: error.message } }));
  process.exitCode = 3;
}
