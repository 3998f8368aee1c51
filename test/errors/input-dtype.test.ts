import { LOGITS, ppoInputs } from "../runtime/support.js";
import { mistakes } from "./support.js";

mistakes("INPUT_DTYPE", [
  {
    name: "bits without a dtype",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), logits: new Uint16Array(12) as never }),
    says: ["Uint16Array", '"bf16"'],
  },
  {
    name: "rows in rows",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), logits: [LOGITS] as never }),
    says: ["logits[0]", "one flat array"],
  },
  {
    name: "a string among numbers",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), advantages: [1, "2", 3] }),
    says: ["advantages[1]", '"2"'],
  },
  {
    name: "a target that is no whole number",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), target_tokens: [0, 0.5, 1] }),
    says: ["target_tokens[1] is 0.5"],
  },
  {
    name: "a buffer of another dtype",
    call: async ({ ppo, device }) =>
      ppo.forwardBackward({ ...ppoInputs(), target_tokens: await device.buffer({ dtype: "f32", length: 3 }) }),
    says: ["target_tokens", "f32", "i32"],
  },
  {
    name: "in place over a plain array",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), logits: LOGITS }, {}, { inPlace: true }),
    says: ["inPlace", "logits", "Float32Array"],
  },
  {
    name: "logits compiled for a dtype that there is not",
    call: ({ ppo, device }) => device.compile(ppo.loss, { dtype: "f8" as "f16" }),
    says: ['"f8"'],
  },
]);
