import { clamp, defineLoss, exp, type InputDtype, min, variance } from "../dsl/index.js";
import { forward_kl } from "../losses/index.js";

/** The mathematics of ppo as a user would write it. Every name is a loss of its own, with kernels of its own. */
export const usersPpoNamed = (name: string) =>
  defineLoss({
    name,
    inputs: { logprobs: "token", advantages: "token" },
    config: { low: 0.8, high: 1.2 },
    loss(policy, inputs, config) {
      const ratio = exp(policy.logprobs - inputs.logprobs);
      return -min(ratio * inputs.advantages, clamp(ratio, config.low, config.high) * inputs.advantages);
    },
  });

export const usersPpo = usersPpoNamed("a user's ppo");

/** Coupled in the shortest way: each token's gradient needs the logprobs of its whole sequence. */
export const logprobVariance = defineLoss({
  name: "variance",
  loss: (policy) => variance(policy.logprobs, "tokens"),
});

/** forward_kl with teacher logits of a dtype: what lies on a device is not converted. */
export const forwardKlOf = (dtype: InputDtype, name = "forward_kl") =>
  defineLoss({
    name,
    inputs: { teacher_logits: { space: "vocab", dtype } },
    config: { temperature: 1 },
    loss: forward_kl.loss,
  });
