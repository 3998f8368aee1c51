import { defineLoss, sum } from "../../dsl/index.js";
import { mistakes } from "./support.js";

mistakes("SPACE_MISMATCH", [
  {
    name: "an axis that a value does not have next",
    call: ({ device }) => device.compile(defineLoss({ name: "x", loss: (policy) => sum(policy.logprobs, "sequences") })),
    says: ["sequences"],
  },
  {
    name: "a metric that is not in batch space",
    call: ({ device }) =>
      device.compile(
        defineLoss({ name: "x", loss: (policy) => ({ loss: policy.logprobs, metrics: { logprob: policy.logprobs } }) }),
      ),
    says: ["logprob"],
  },
  {
    name: "an input in a space that there is not",
    call: () => defineLoss({ name: "x", inputs: { reward: "sequences" as "sequence" }, loss: (policy) => policy.logprobs }),
    says: ['"reward"', 'did you mean "sequence"?'],
  },
]);
