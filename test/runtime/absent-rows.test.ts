/** Inputs of vocab space that are not given, and those of a loss from log-probabilities alone. */
import { describe, test } from "vitest";
import { add, atTarget, defineLoss, mul, neg, softmax, sum } from "../../dsl/index.js";
import { expectNear, gradientOf } from "../emulated/batch.js";
import { withoutOptimisation } from "../optimisation.js";
import { eachDevice, expectError } from "./support.js";

withoutOptimisation();

const masked = defineLoss({
  name: "masked",
  inputs: { mask: { space: "vocab", default: 0.5 } },
  loss: (policy, { mask }) => add(sum(mul(softmax(policy.logits), mask), "vocab"), mul(policy.logprobs, atTarget(mask))),
});
const shifted = defineLoss({
  name: "shifted",
  inputs: { t: { space: "vocab", default: 2 } },
  loss: (policy, { t }) => neg(mul(policy.logprobs, sum(t, "vocab"))),
});
const inputs = () => ({ lengths: [2], logits: Float32Array.of(1, 2, 3, 4, 5, 6), target_tokens: [0, 2] });

eachDevice((open) => {
  test("a default stands for every entry", async () => {
    const device = await open();
    for (const [loss, name, value] of [[masked, "mask", 0.5] as const, [shifted, "t", 2] as const]) {
      const compiled = await device.compile(loss as never);
      const absent = await compiled.forwardBackward(inputs());
      const given = await compiled.forwardBackward({ ...inputs(), [name]: new Float32Array(6).fill(value) });
      expectNear([absent.loss], [given.loss], 0, name);
      expectNear(gradientOf(absent.gradLogits as never, "f32"), gradientOf(given.gradLogits as never, "f32"), 0, name);
    }
  });

  test("rows want logits", async () => {
    const compiled = await (await open()).compile(shifted);
    const got = { lengths: [2], policy_logprobs: [-1, -2] };
    await expectError("INPUT_MISSING", () => compiled.forwardBackward(got), "inputs.t", "give logits");
    await expectError(
      "INPUT_MISSING",
      () => compiled.forwardBackward({ ...got, t: [1, 2, 3, 4] }),
      "t has rows",
      "target_tokens",
    );
  });

  test("policy_logprobs on the device are f32", async () => {
    const device = await open();
    const compiled = await device.compile(defineLoss({ name: "nll", loss: (policy) => neg(policy.logprobs) }));
    const halves = await device.buffer(Uint16Array.of(0xbf80, 0xc000), "bf16");
    await expectError("INPUT_DTYPE", () => compiled.forwardBackward({ lengths: [2], policy_logprobs: halves }), "bf16", "f32");
    halves.dispose();
  });
});

describe("a loss that throws late", () => {
  const late = (loss: unknown) => defineLoss({ name: "late", loss: loss as never });

  eachDevice(
    (open) => {
      test("async, and in vain", async () => {
        const device = await open();
        const loss = late(async (_policy: never, given: { bogus: number }) => given.bogus);
        await expectError("UNSUPPORTED_SYNTAX", () => device.compile(loss), "async");
      });

      test("in a metric that is computed when it is asked for", async () => {
        const compiled = await (await open()).compile(
          late((policy: { logprobs: number }) => ({
            loss: policy.logprobs,
            metrics: { m: () => (undefined as never as { foo: number }).foo },
          })),
        );
        await expectError(
          "UNSUPPORTED_SYNTAX",
          () => compiled.forwardBackward(inputs(), {}, { metrics: ["m"] }),
          "threw while it was traced",
        );
      });

      test("metrics without names", async () => {
        const device = await open();
        for (const metrics of [5, [1]])
          await expectError(
            "UNSUPPORTED_SYNTAX",
            () => device.compile(late((p: { logprobs: number }) => ({ loss: p.logprobs, metrics }))),
            "named",
          );
      });
    },
    ["reference"],
  );
});
