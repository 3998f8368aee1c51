import { defineLoss } from "../../dsl/index.js";
import { ppoInputs } from "../runtime/support.js";
import { mistakes } from "./support.js";

mistakes("CONFIG_INVALID", [
  {
    name: "NaN",
    call: ({ ppo }) => ppo.forwardBackward(ppoInputs(), { clip_low_threshold: Number.NaN }),
    says: ["clip_low_threshold", "NaN"],
  },
  {
    name: "an infinity",
    call: ({ ppo }) => ppo.forwardBackward(ppoInputs(), { clip_high_threshold: Number.POSITIVE_INFINITY }),
    says: ["clip_high_threshold", "finite"],
  },
  {
    name: "a string",
    call: ({ ppo }) => ppo.forwardBackward(ppoInputs(), { clip_high_threshold: "1.2" }),
    says: ['"1.2"', "finite number"],
  },
  {
    name: "a default that is not finite",
    call: () => defineLoss({ name: "x", config: { beta: Number.NaN }, loss: (policy) => policy.logprobs }),
    says: ['"beta"'],
  },
]);
