import { expect } from "vitest";
import { LOGITS, ppoInputs } from "../runtime/support.js";
import { mistakes } from "./support.js";

mistakes("TARGET_OUT_OF_RANGE", [
  {
    name: "beyond the vocabulary",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), target_tokens: [0, 1, 4] }),
    says: ["target_tokens[2]", "datum 1, token 0", "is 4, outside"],
  },
  {
    name: "below 0, where the weight is 0 too",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), weights: [1, 0, 1], target_tokens: [0, -100, 1] }),
    says: ["-100"],
  },
  {
    name: "on the device, where only the kernel sees it",
    call: async ({ ppo, device }) =>
      ppo.forwardBackward({ ...ppoInputs(), target_tokens: await device.buffer(Int32Array.of(0, 1_000_000_000, -5)) }),
    says: ["target_tokens[1]", "datum 0, token 1", "0 … 3"],
  },
  {
    name: "on the device, with what it leaves in place",
    call: async ({ ppo, device }) => {
      const logits = await device.buffer(Float32Array.from(LOGITS));
      const target_tokens = await device.buffer(Int32Array.of(0, 1, -5));
      try {
        await ppo.forwardBackward({ ...ppoInputs(), logits, target_tokens }, {}, { inPlace: true, nonFinite: "propagate" });
      } finally {
        expect(await logits.read()).toEqual(new Float32Array(12));
      }
    },
    says: ["target_tokens[2]", "datum 1, token 0"],
  },
]);
