/** Batches for the tests of kernels: numbers that follow from a seed, and the comparison with `reference`. */
import { expect } from "vitest";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import type { LossDefinition } from "../../dsl/index.js";
import type { Device, ForwardBackwardOptions, HalfSource, LossInputs, LossResult } from "../../runtime/devices/device.js";
import { convert, type TypedArray, widen } from "../../runtime/devices/dtypes.js";
import { openDevice } from "../../runtime/index.js";
import { numbersFrom } from "../sample.js";

export interface Batch {
  readonly lengths: readonly number[];
  readonly vocab: number;
  readonly dtype: LogitsDtype;
  /** Fresh inputs, for calls may write in place. */
  inputs(): LossInputs & { readonly logits: Float32Array | { readonly data: Uint16Array; readonly dtype: "bf16" | "f16" } };
  /** The logits, rounded to their dtype. */
  readonly wide: Float64Array;
}

/** A batch for any loss of the golden files. Targets stand at both ends of rows and between; some entries are not there. */
export function batchOf(lengths: readonly number[], vocab: number, dtype: LogitsDtype, perSequence: boolean, seed = 1): Batch {
  const random = numbersFrom(seed);
  const tokens = lengths.reduce((a, b) => a + b, 0);
  const target_tokens = Int32Array.from({ length: tokens }, (_, t) =>
    t % 3 === 0 ? 0 : t % 3 === 1 ? vocab - 1 : Math.floor(random() * vocab),
  );
  const logits = Float64Array.from({ length: tokens * vocab }, (_, i) => {
    const z = random() * 8 - 4;
    const isTarget = target_tokens[Math.floor(i / vocab)] === i % vocab;
    return !isTarget && random() < 0.05 ? Number.NEGATIVE_INFINITY : z;
  });
  const bits = convert(logits, "f64", dtype);
  const perToken = () => Float32Array.from({ length: tokens }, () => random() * 2 - 1);
  // Near the policy's, so that ratios lie on both sides of the clip bounds.
  const logprobs = perToken().map((x) => -Math.log(vocab) - 1 + x / 2);
  const advantages = perSequence ? Float32Array.from(lengths, () => random() * 2 - 1) : perToken();
  return {
    lengths,
    vocab,
    dtype,
    wide: Float64Array.from(dtype === "f32" ? bits : widen(bits as Uint16Array, dtype)),
    inputs: () => ({
      lengths: [...lengths],
      logits: dtype === "f32" ? Float32Array.from(bits) : { data: Uint16Array.from(bits), dtype },
      target_tokens: Int32Array.from(target_tokens),
      logprobs: Float32Array.from(logprobs),
      advantages: Float32Array.from(advantages),
    }),
  };
}

/** The sequences of `completeBatch`; the last is empty. */
export const LENGTHS = [2, 1, 3, 0];

/** A batch for any loss of the catalogue: every input that it declares, in each space, and groups. */
export function completeBatch(loss: LossDefinition, vocab: number, dtype: LogitsDtype): Batch {
  const random = numbersFrom(vocab);
  const groups = [2, 2];
  const tokens = LENGTHS.reduce((a, b) => a + b);
  const counts = { token: tokens, sequence: LENGTHS.length, group: groups.length, vocab: tokens * vocab, entry: vocab, batch: 1 };
  const target_tokens = Int32Array.from(
    { length: tokens },
    (_, t) => [0, vocab - 1, Math.floor(random() * vocab)][t % 3] as number,
  );
  const logits = Float64Array.from({ length: tokens * vocab }, (_, i) =>
    random() < 0.05 && target_tokens[Math.floor(i / vocab)] !== i % vocab ? Number.NEGATIVE_INFINITY : random() * 12 - 6,
  );
  const bits = convert(logits, "f64", dtype);
  const given = Object.entries(loss.inputs).map(([name, { space, dtype }]) => {
    const values = Float32Array.from({ length: counts[space] }, () => random() - 0.5);
    if (name === "logprobs" || name.endsWith("logprobs"))
      values.forEach((x, i) => {
        values[i] = x - Math.log(vocab);
      });
    // In the dtype that the loss wants, for `reference` takes them as they are.
    if (dtype === "bf16" || dtype === "f16")
      values.set(widen(convert(Float64Array.from(values), "f64", dtype) as Uint16Array, dtype));
    return [name, space === "batch" ? (values[0] as number) : values] as const;
  });
  return {
    lengths: LENGTHS,
    vocab,
    dtype,
    wide: Float64Array.from(dtype === "f32" ? bits : widen(bits as Uint16Array, dtype)),
    inputs: () => ({
      ...Object.fromEntries(given),
      lengths: [...LENGTHS],
      groups,
      logits: dtype === "f32" ? Float32Array.from(bits) : { data: Uint16Array.from(bits), dtype },
      target_tokens: Int32Array.from(target_tokens),
    }),
  };
}

/** Without the inputs that a loss does not declare. */
export function inputsFor(loss: LossDefinition, inputs: LossInputs): LossInputs {
  const always = ["lengths", "groups", "vocab", "logits", "target_tokens", "weights"];
  return Object.fromEntries(
    Object.entries(inputs).filter(([name]) => always.includes(name) || name in loss.inputs),
  ) as unknown as LossInputs;
}

const reference = await openDevice("reference");

export async function oracle(loss: LossDefinition, batch: Batch, options: ForwardBackwardOptions = {}): Promise<LossResult> {
  const inputs = inputsFor(loss, { ...batch.inputs(), logits: batch.wide });
  return (await reference.compile(loss)).forwardBackward(inputs, {}, options);
}

/** Half a unit in the last place of a dtype, relative. */
const ROUNDING = { f32: 0, bf16: 2 ** -8, f16: 2 ** -11 } as const;

export function expectNear(got: ArrayLike<number>, expected: ArrayLike<number>, relative: number, what: string): void {
  expect(got.length, what).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const [g, e] = [got[i] as number, expected[i] as number];
    if (!(Math.abs(g - e) <= 3e-6 + (5e-5 + relative) * Math.abs(e)))
      expect.fail(`${what}: element ${i} is ${g}, ${e} is expected`);
  }
}

/** The gradient of a result as numbers. */
export function gradientOf(bits: TypedArray, dtype: LogitsDtype): ArrayLike<number> {
  return dtype === "f32" ? bits : widen(bits as Uint16Array, dtype);
}

/** Runs the loss in place, the logits on the device, and holds all of it against `reference`. */
export async function agrees(
  device: Device,
  loss: LossDefinition,
  batch: Batch,
  options: ForwardBackwardOptions = {},
): Promise<void> {
  const expected = await oracle(loss, batch, options);
  const inputs = batch.inputs();
  const { logits }: { readonly logits: Float32Array | HalfSource } = inputs;
  const buffer = "data" in logits ? await device.buffer(logits.data, logits.dtype) : await device.buffer(logits);
  const compiled = await device.compile(loss, { dtype: batch.dtype });
  const result = await compiled.forwardBackward(
    inputsFor(loss, { ...inputs, logits: buffer }),
    {},
    { ...options, inPlace: true },
  );
  const name = `${loss.name}, V ${batch.vocab}, ${batch.dtype}`;
  expect(result.gradLogits).toBe(buffer);
  const gradient = gradientOf(await buffer.read(), batch.dtype);
  buffer.dispose();
  expectNear([result.loss], [expected.loss], 0, `${name}, loss`);
  expectNear(result.logprobs as Float32Array, expected.logprobs as Float64Array, 0, `${name}, logprobs`);
  expectNear(gradient, expected.gradLogits as unknown as Float64Array, ROUNDING[batch.dtype], `${name}, gradient`);
}
