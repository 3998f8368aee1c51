import type { LossDefinition } from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";
import { ppoInputs } from "../runtime/support.js";
import { mistakes } from "./support.js";

mistakes("CONFIG_UNKNOWN", [
  {
    name: "a misspelt name in the call",
    call: ({ ppo }) => ppo.forwardBackward(ppoInputs(), { clip_low_treshold: 0.9 }),
    says: ['"ppo"', '"clip_low_treshold"', 'did you mean "clip_low_threshold"?'],
  },
  {
    name: "a name of nothing in compile",
    call: ({ device }) => device.compile<LossDefinition>(ppo, { config: { temperature_of_the_sea: 1 } }),
    says: ["clip_low_threshold, clip_high_threshold"],
  },
]);
