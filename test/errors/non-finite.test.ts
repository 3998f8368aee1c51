import { expect } from "vitest";
import { defineLoss, exp, mul, square, sum } from "../../dsl/index.js";
import { LOGITS, ppoInputs, VOCAB } from "../runtime/support.js";
import { mistakes, type Setting } from "./support.js";

/** Logits with a NaN in the row of one token. */
function poisoned(token: number): Float32Array {
  const logits = Float32Array.from(LOGITS);
  logits[token * VOCAB + 1] = Number.NaN;
  return logits;
}

/** Each of the tokens is fine; their sum is not. */
const overflow = defineLoss({
  name: "overflow",
  inputs: { scale: "token" },
  loss: (policy, inputs) => square(exp(mul(sum(mul(policy.logprobs, inputs.scale)), -1))),
});

mistakes("NON_FINITE", [
  {
    name: "the first datum and token are named",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), logits: poisoned(1) }),
    says: ['"ppo"', "datum 0, token 1", "propagate"],
  },
  {
    name: "in a later datum",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), logits: poisoned(2) }),
    says: ["datum 1, token 0"],
  },
  {
    name: "an input that is not finite",
    call: ({ ppo }) => ppo.forwardBackward({ ...ppoInputs(), advantages: [1, 1, Number.NEGATIVE_INFINITY] }),
    says: ["datum 1, token 0"],
  },
  {
    name: "an array that was written in place is zeroed",
    call: async ({ ppo }) => {
      const logits = poisoned(2);
      await ppo
        .forwardBackward({ ...ppoInputs(), logits }, {}, { inPlace: true })
        .finally(() => expect(logits).toEqual(new Float32Array(12)));
    },
    says: ["datum 1, token 0"],
  },
  {
    name: "a buffer that was written in place is zeroed",
    call: async ({ ppo, device }) => {
      const logits = await device.buffer(poisoned(0));
      const run = ppo.forwardBackward({ ...ppoInputs(), logits }, {}, { inPlace: true });
      await run.finally(async () => expect(await logits.read()).toEqual(new Float32Array(12)));
    },
    says: ["datum 0, token 0"],
  },
  {
    name: "without inPlace the logits stay what they are",
    call: async ({ ppo }) => {
      const logits = poisoned(0);
      await ppo.forwardBackward({ ...ppoInputs(), logits }).finally(() => expect(logits).toEqual(poisoned(0)));
    },
    says: ["datum 0, token 0"],
  },
  {
    name: "a term of the whole batch",
    call: async ({ device }) => {
      const { lengths, logits, target_tokens } = ppoInputs();
      return (await device.compile(overflow)).forwardBackward({ lengths, logits, target_tokens, scale: [1e4, 1e4, 1e4] });
    },
    says: ['"overflow"'],
  },
  {
    name: "not where the caller wants the numbers",
    call: async ({ ppo }: Setting) => {
      const result = await ppo.forwardBackward({ ...ppoInputs(), logits: poisoned(1) }, {}, { nonFinite: "propagate" });
      expect(result.loss).toBeNaN();
      expect(
        Array.from(result.gradLogits as Float32Array)
          .slice(0, 4)
          .every(Number.isFinite),
      ).toBe(true);
      return ppo.forwardBackward({ ...ppoInputs(), logits: poisoned(1) });
    },
    says: ["datum 0, token 1"],
  },
]);
