/** Whether a result is right, before anything is timed. */

import { LosscError } from "../dsl/errors.js";
import type { LossDefinition } from "../dsl/index.js";
import type { CompiledLoss, LossInputs, LossResult } from "../runtime/devices/device.js";
import { openDevice } from "../runtime/devices/index.js";
import type { Batch } from "./batch.js";
import type { Work } from "./shapes.js";

/** Relative rounding error of a dtype. */
export const ROUNDING = { f32: 0, bf16: 2 ** -8, f16: 2 ** -11 } as const;

/** A number that must be right to float32's accuracy, and what rounding adds. */
export function near(found: number, wanted: number, floor: number, what: () => string, rounding = 0): void {
  if (!(Math.abs(found - wanted) <= (5e-5 + rounding) * Math.abs(wanted) + floor))
    throw new LosscError("DEVICE_FAULT", `${what()} is ${found} instead of ${wanted}; nothing was timed. Try lossc check.`);
}

/** Tokens whose rows are judged: both ends and the middle. */
export function samplesOf({ shape: { tokens } }: { readonly shape: { readonly tokens: number } }): number[] {
  return [...new Set([0, 1, tokens >> 1, tokens - 1].filter((t) => t < tokens))];
}

/**
 * Judges a call that has overwritten the batch's `gradient`.
 *
 * @throws LosscError `DEVICE_FAULT` with the first number that is wrong.
 */
export async function requireCorrect(
  loss: LossDefinition,
  work: Work,
  batch: Batch,
  compiled: CompiledLoss,
  found: LossResult,
): Promise<void> {
  const rowByRow = Object.values(loss.inputs).some(({ space }) => space === "vocab");
  await (rowByRow ? fromRows(loss, batch, compiled, found) : fromLogprobs(loss, work, batch, found));
}

/**
 * The loss and dL/dℓ of every token come from `reference` on the logprobs that were found; those logprobs, and the gradient of the logits,
 * dL/dℓ · (one-hot − softmax), are computed here in float64 for the sampled rows. So a loss that couples tokens is judged whole, and a batch of
 * any size in moments. For losses of `policy.logprobs` alone.
 */
async function fromLogprobs(loss: LossDefinition, { masked }: Work, batch: Batch, found: LossResult): Promise<void> {
  const logprobs = found.logprobs as Float32Array;
  const { perToken, lengths } = batch;
  const { weights, target_tokens, ...others } = perToken;
  const declared = Object.fromEntries(Object.entries(others).filter(([name]) => name in loss.inputs));
  await using reference = await openDevice("reference");
  const compiled = await reference.compile(loss);
  const inputs = { lengths, policy_logprobs: logprobs, ...(masked ? { weights } : {}), ...declared };
  const wanted = await compiled.forwardBackward(inputs);
  near(found.loss, wanted.loss, 1e-5 * logprobs.length, () => `the loss of ${loss.name}`);
  for (const t of samplesOf(batch)) {
    const row = await batch.row("logits", t);
    const most = row.reduce((a, b) => Math.max(a, b));
    const total = row.reduce((sum, z) => sum + Math.exp(z - most), 0);
    const target = target_tokens[t] as number;
    const skipped = masked && weights[t] === 0;
    const logprob = skipped ? 0 : (row[target] as number) - most - Math.log(total);
    near(logprobs[t] as number, logprob, 3e-6, () => `the logprob of token ${t} of ${loss.name}`);
    const factor = (wanted.gradLogprobs as Float64Array)[t] as number;
    const gradient = row.map((z, v) => factor * (Number(v === target) - Math.exp(z - most) / total));
    await nearRow(loss, batch, t, gradient, 3e-6 * Math.abs(factor));
  }
}

/**
 * For losses of whole rows that couple no tokens: `reference` computes the sampled rows. Their part of the loss is what weights that mask all others
 * leave of it; the loss of the whole batch is that part and the rest.
 */
async function fromRows(loss: LossDefinition, batch: Batch, compiled: CompiledLoss, found: LossResult): Promise<void> {
  const samples = samplesOf(batch);
  const wanted = await referenceOn(samples, loss, batch);
  const { vocab } = batch.shape;
  for (const [i, t] of samples.entries()) {
    near(
      (found.logprobs as Float32Array)[t] as number,
      wanted.logprobs[i] as number,
      3e-6,
      () => `the logprob of token ${t} of ${loss.name}`,
    );
    await nearRow(loss, batch, t, wanted.gradient.subarray(i * vocab, (i + 1) * vocab), 3e-6);
  }
  const lossOf = async (isSample: number) => {
    await batch.layDown();
    const weights = Float32Array.from(batch.perToken.weights, (_, t) => (samples.includes(t) ? isSample : 1 - isSample));
    return (await compiled.forwardBackward({ ...batch.inputsOf(loss, {}), weights }, {}, { inPlace: true })).loss;
  };
  const part = await lossOf(1);
  near(part, wanted.loss, 1e-5 * samples.length, () => `the loss of ${loss.name} on the tokens ${samples.join(", ")}`);
  near(found.loss, part + (await lossOf(0)), 1e-6 * batch.shape.tokens, () => `the loss of ${loss.name}`);
}

async function referenceOn(samples: readonly number[], loss: LossDefinition, batch: Batch) {
  const rowsOf = async (name: "logits" | "teacher_logits") => {
    const rows = await Promise.all(samples.map((t) => batch.row(name, t)));
    return Float64Array.from(rows.flatMap((row) => [...row]));
  };
  await using reference = await openDevice("reference");
  const inputs: LossInputs = {
    lengths: [samples.length],
    logits: await rowsOf("logits"),
    teacher_logits: await rowsOf("teacher_logits"),
    target_tokens: samples.map((t) => batch.perToken.target_tokens[t] as number),
  };
  const { loss: value, logprobs, gradLogits } = await (await reference.compile(loss)).forwardBackward(inputs);
  return { loss: value, logprobs: logprobs as Float64Array, gradient: gradLogits as Float64Array };
}

async function nearRow(loss: LossDefinition, batch: Batch, token: number, wanted: Float64Array, floor: number): Promise<void> {
  const found = await batch.row("gradient", token);
  const rounding = ROUNDING[batch.shape.dtype];
  wanted.forEach((value, v) => {
    near(found[v] as number, value, floor, () => `entry ${v} of the gradient of token ${token} of ${loss.name}`, rounding);
  });
}
