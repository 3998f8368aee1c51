import { expect } from "vitest";
import { defineLoss, mul } from "../../dsl/index.js";
import { ppoInputs } from "../runtime/support.js";
import { mistakes } from "./support.js";

/** Never seen before, so that it must be compiled. */
const fresh = (scale: number) =>
  defineLoss({
    name: "fresh",
    inputs: { logprobs: "token", advantages: "token" },
    loss: (policy) => mul(policy.logprobs, scale),
  });

mistakes("ABORTED", [
  {
    name: "before it begins",
    call: ({ ppo }) => ppo.forwardBackward(ppoInputs(), {}, { signal: AbortSignal.abort(new Error("not wanted")) }),
    says: ["ppo", "AbortSignal"],
    also: (error) => expect((error.cause as Error).message).toBe("not wanted"),
  },
  {
    name: "while it waits for the calls before it",
    call: async ({ ppo }) => {
      const controller = new AbortController();
      const first = ppo.forwardBackward(ppoInputs());
      const second = ppo.forwardBackward(ppoInputs(), {}, { signal: controller.signal });
      controller.abort();
      await Promise.allSettled([first, second]);
      expect((await first).loss).toBeTypeOf("number");
      return second;
    },
    says: ["ppo"],
  },
  {
    name: "while its kernels are compiled",
    call: async ({ device }) => {
      const controller = new AbortController();
      const compiled = await device.compile(fresh(Math.random()));
      const run = compiled.forwardBackward(ppoInputs(), {}, { signal: controller.signal });
      setTimeout(() => controller.abort(), 30);
      return run;
    },
    says: [],
    devices: ["cpu", "emulated", "cuda:0"],
  },
  {
    name: "while its kernels run",
    call: async ({ ppo }) => {
      const [tokens, vocab] = [6000, 400];
      const inputs = {
        lengths: [tokens],
        logits: new Float32Array(tokens * vocab),
        target_tokens: new Int32Array(tokens),
        logprobs: new Float32Array(tokens),
        advantages: new Float32Array(tokens),
      };
      const controller = new AbortController();
      const run = ppo.forwardBackward(inputs, {}, { signal: controller.signal });
      setTimeout(() => controller.abort(), 30);
      return run;
    },
    says: ["AbortSignal"],
    // Slow enough to be caught.
    devices: ["emulated"],
  },
]);
