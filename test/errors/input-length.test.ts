import { ppoInputs } from "../runtime/support.js";
import { mistakes } from "./support.js";

mistakes("INPUT_LENGTH", [
  {
    name: "too few advantages",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), advantages: [1, 2] }),
    says: ["advantages has 2", "3 tokens in 2 data"],
  },
  {
    name: "logits that make no rows",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), logits: new Float32Array(13) }),
    says: ["13 entries", "3 tokens"],
  },
  {
    name: "a vocab that does not fit",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), vocab: 3 }),
    says: ["3 tokens of 3"],
  },
  {
    name: "a negative length",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), lengths: [4, -1] }),
    says: ["lengths[1] is -1"],
  },
  {
    name: "a length that is no whole number",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), lengths: [1.5, 1.5] }),
    says: ["1.5"],
  },
  {
    name: "groups that do not sum to the data",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), groups: [3] }),
    says: ["groups sum to 3", "2 data"],
  },
  {
    name: "an array whose memory was given away",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), logits: detached() }),
    says: ["0 entries"],
  },
]);

function detached(): Float32Array {
  const array = new Float32Array(12);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}
