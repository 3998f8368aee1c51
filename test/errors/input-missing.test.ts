import { ppoInputs } from "../runtime/support.js";
import { mistakes } from "./support.js";

const without = (name: string) => ({ ...ppoInputs(), [name]: undefined });

mistakes("INPUT_MISSING", [
  {
    name: "a declared input",
    call: ({ ppo }) => ppo.forwardBackward(without("advantages")),
    says: ['"ppo"', "advantages", "per token"],
  },
  { name: "logits", call: ({ ppo }) => ppo.forwardBackward(without("logits")), says: ["logits", "policy_logprobs"] },
  { name: "target_tokens", call: ({ ppo }) => ppo.forwardBackward(without("target_tokens")), says: ["target_tokens"] },
  {
    name: "lengths",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), lengths: undefined as unknown as number[] }),
    says: ["lengths"],
  },
]);
