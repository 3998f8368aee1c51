/** Rows by a factor of their own: a temperature above 0, which a maximum follows, and below, with which it is another entry's. */
import { expect, test } from "vitest";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import { defineLoss, div, type LossDefinition, logSoftmax, mul, softmax, sub, sum } from "../../dsl/index.js";
import { convert, widen } from "../../runtime/devices/dtypes.js";
import { withoutOptimisation } from "../optimisation.js";
import { numbersFrom } from "../sample.js";
import { numbers, oracle } from "./oracle.js";
import { eachDevice } from "./support.js";

withoutOptimisation();

/** The divergence of one of the two rows from the other. */
const divergence = (name: string, of: "student" | "teacher") =>
  defineLoss({
    name,
    inputs: { teacher: "vocab", temperature: "token" },
    loss(policy, { teacher, temperature }) {
      const rows = { student: div(policy.logits, temperature), teacher: div(teacher, temperature) };
      const [p, q] = of === "student" ? [rows.student, rows.teacher] : [rows.teacher, rows.student];
      return sum(mul(softmax(p), sub(logSoftmax(p), logSoftmax(q))), "vocab");
    },
  }) as never as LossDefinition;

const LOSSES = [divergence("forward", "teacher"), divergence("reverse", "student")];

/**
 * A row of a few lanes, one of several parts and one of several blocks, of no whole number of packets; the least entry, of rows around 0 or far below
 * it.
 */
const CASES = [61, 2051, 20011].flatMap((vocab) =>
  [-9, -60].flatMap((least) =>
    (["f32", "bf16", "f16"] as const).flatMap((dtype) => LOSSES.map((loss) => ({ loss, vocab, dtype, least }))),
  ),
);

function inputsOf(vocab: number, dtype: LogitsDtype, least: number) {
  const random = numbersFrom(vocab);
  const temperature = [0.5, 1, -1, -3, 2];
  const rows = () =>
    convert(
      Float64Array.from({ length: temperature.length * vocab }, () => random() * 12 + least),
      "f64",
      dtype,
    );
  const common = { lengths: [temperature.length], target_tokens: temperature.map((_, t) => (t * 7) % vocab), temperature };
  const [logits, teacher] = [rows(), rows()];
  const given = (bits: ReturnType<typeof rows>) =>
    dtype === "f32" ? (bits as Float32Array).slice() : { data: (bits as Uint16Array).slice(), dtype };
  const wide = (bits: ReturnType<typeof rows>) => Float64Array.from(dtype === "f32" ? bits : widen(bits as Uint16Array, dtype));
  return {
    given: { ...common, logits: given(logits), teacher: given(teacher) },
    wide: { ...common, logits: wide(logits), teacher: wide(teacher) },
  };
}

eachDevice((open) => {
  test.each(CASES)("$loss.name, V $vocab, $dtype, from $least", async ({ loss, vocab, dtype, least }) => {
    const { given, wide } = inputsOf(vocab, dtype, least);
    const expected = await oracle(loss, wide as never);
    const found = await (await (await open()).compile(loss)).forwardBackward(given as never);
    expect(found.loss).toBeCloseTo(expected.loss, 3);
    const wanted = numbers(expected.gradLogits);
    const scale = Math.max(...wanted.map(Math.abs));
    const data = (found.gradLogits as { data?: Uint16Array }).data ?? found.gradLogits;
    const got = numbers(data instanceof Uint16Array ? widen(data, dtype as "bf16" | "f16") : data);
    const rounding = { f32: 1e-4, bf16: 2 ** -8, f16: 2 ** -11 }[dtype];
    expect(got.length).toBe(wanted.length);
    // Rows are long, and an `expect` for each entry takes longer than all else.
    wanted.forEach((y, i) => {
      const off = Math.abs((got[i] as number) - y);
      if (!(off <= rounding * Math.abs(y) + 1e-5 * scale + 2 ** -25)) expect.fail(`entry ${i} is ${got[i]} instead of ${y}`);
    });
  });
});
