import { defineLoss, mul } from "../../dsl/index.js";
import { ppoInputs } from "../runtime/support.js";
import { mistakes } from "./support.js";

mistakes("INPUT_UNKNOWN", [
  {
    name: "a misspelt name",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), advantage: [1, 1, 1] }),
    says: ['"advantage"', 'did you mean "advantages"?'],
  },
  {
    name: "logits and policy_logprobs at once",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), policy_logprobs: [0, 0, 0] }),
    says: ["leave one out"],
  },
  {
    name: "an input that the loss reads and does not declare",
    call: ({ device }) =>
      device.compile(
        defineLoss({
          name: "reads too much",
          inputs: { rewards: "sequence" },
          loss: (policy, inputs) => mul(policy.logprobs, (inputs as unknown as { reward: number }).reward),
        }),
      ),
    says: ['"reward"', 'did you mean "rewards"?'],
  },
]);
