/** Whether a result is right, before anything is timed. */

import { LosscError } from "../dsl/errors.js";
import type { LossDefinition } from "../dsl/index.js";
import type { LossResult } from "../runtime/devices/device.js";
import { openDevice } from "../runtime/devices/index.js";
import { type Batch, inputsOf } from "./batch.js";

function near(found: number, wanted: number, floor: number, what: () => string): void {
  if (!(Math.abs(found - wanted) <= 5e-5 * Math.abs(wanted) + floor))
    throw new LosscError("DEVICE_FAULT", `${what()} is ${found} instead of ${wanted}; nothing was timed. Try lossc check.`);
}

/**
 * The loss and dL/dℓ of every token come from `reference` on the logprobs that were found; those logprobs, and the gradient of the logits,
 * dL/dℓ · (one-hot − softmax), are computed here in float64 for rows at both ends and in the middle. So a loss that couples tokens is
 * judged whole, and a batch of any size in moments. For losses of `policy.logprobs` alone.
 *
 * @throws LosscError `DEVICE_FAULT` with the first number that is wrong.
 */
export async function requireCorrect(loss: LossDefinition, batch: Batch, found: LossResult): Promise<void> {
  const vocab = batch.logits.length / batch.target_tokens.length;
  const logprobs = found.logprobs as Float32Array;
  await using reference = await openDevice("reference");
  const { lengths, logits: _, target_tokens: __, ...others } = inputsOf(batch, loss.inputs);
  const wanted = await (await reference.compile(loss)).forwardBackward({ lengths, policy_logprobs: logprobs, ...others });
  const factors = wanted.gradLogprobs as Float64Array;
  near(found.loss, wanted.loss, 1e-5 * logprobs.length, () => `the loss of ${loss.name}`);
  const last = logprobs.length - 1;
  for (const t of new Set([0, 1, last >> 1, last])) {
    const row = Float64Array.from(batch.logits.subarray(t * vocab, (t + 1) * vocab));
    const most = row.reduce((a, b) => Math.max(a, b));
    const total = row.reduce((sum, z) => sum + Math.exp(z - most), 0);
    const target = batch.target_tokens[t] as number;
    const what = (name: string) => () => `${name} of token ${t} of ${loss.name}`;
    near(logprobs[t] as number, (row[target] as number) - most - Math.log(total), 3e-6, what("the logprob"));
    const gradient = found.gradLogits as Float32Array;
    const factor = factors[t] as number;
    row.forEach((z, v) => {
      const value = factor * (Number(v === target) - Math.exp(z - most) / total);
      near(gradient[t * vocab + v] as number, value, 3e-6 * Math.abs(factor), what(`entry ${v} of the gradient`));
    });
  }
}
