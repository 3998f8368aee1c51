/** Mistakes in a call of a loss: word by word what is said of them. */

import { expect, test } from "vitest";
import type { LossDefinition } from "../../dsl/index.js";
import { dpo, ppo } from "../../losses/index.js";
import { openDevice } from "../../runtime/index.js";
import { failure } from "../runtime/support.js";

const device = await openDevice("reference");
const compiled = { ppo: await device.compile<LossDefinition>(ppo), dpo: await device.compile<LossDefinition>(dpo) };
const batch = { lengths: [2, 1], policy_logprobs: [-1, -2, -3] };
const zeros = [0, 0, 0];

test.each([
  [
    "a config misspelt",
    () => compiled.ppo.forwardBackward({ ...batch, logprobs: zeros, advantages: zeros }, { clip_low_treshold: 0.9 }),
    "CONFIG_UNKNOWN",
    'the loss "ppo" has no config "clip_low_treshold"; did you mean "clip_low_threshold"?',
  ],
  [
    "an input misspelt",
    () => compiled.ppo.forwardBackward({ ...batch, logprobs: zeros, advantage: zeros }),
    "INPUT_UNKNOWN",
    'the loss "ppo" has no input "advantage"; did you mean "advantages"?',
  ],
  [
    "groups left out",
    () => compiled.dpo.forwardBackward({ ...batch, reference_logprobs: zeros }),
    "INPUT_MISSING",
    'the loss "dpo" compares the data of groups, and the input groups is missing; give the number of data of each group',
  ],
  [
    "a group too small",
    () => compiled.dpo.forwardBackward({ ...batch, groups: [1, 1], reference_logprobs: zeros }),
    "INPUT_LENGTH",
    'groups[0] has 1 data, but the loss "dpo" picks the datum 1 (from 0) of every group; give groups of at least 2',
  ],
] as const)("%s", async (_, call, code, message) => {
  const error = await failure(call);
  expect(error.message).toBe(message);
  expect(error.code).toBe(code);
});
