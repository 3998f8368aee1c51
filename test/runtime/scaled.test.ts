/** Rows by a factor of their own: a temperature above 0, which a maximum follows, and below, with which it is another entry's. */
import { expect, test } from "vitest";
import type { LogitsDtype } from "../../codegen/plan.js";
import { defineLoss, div, type LossDefinition, logSoftmax, mul, softmax, sub, sum } from "../../dsl/index.js";
import { convert, widen } from "../../runtime/dtypes.js";
import { numbersFrom } from "../emulated/batch.js";
import { numbers, oracle } from "./oracle.js";
import { eachDevice } from "./support.js";

const divergence = defineLoss({
  name: "divergence",
  inputs: { teacher: "vocab", temperature: "token" },
  loss(policy, { teacher, temperature }) {
    const [student, of] = [div(policy.logits, temperature), div(teacher, temperature)];
    return sum(mul(softmax(of), sub(logSoftmax(of), logSoftmax(student))), "vocab");
  },
}) as never as LossDefinition;

/** A row of a few lanes and one of several parts, of no whole number of packets. */
const CASES = [61, 2051].flatMap((vocab) => (["f32", "bf16", "f16"] as const).map((dtype) => [vocab, dtype] as const));

function inputsOf(vocab: number, dtype: LogitsDtype) {
  const random = numbersFrom(vocab);
  const temperature = [0.5, 1, -1, -3, 2];
  const rows = () =>
    convert(
      Float64Array.from({ length: temperature.length * vocab }, () => random() * 12 - 9),
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
  test.each(CASES)("V %i, %s", async (vocab, dtype) => {
    const { given, wide } = inputsOf(vocab, dtype);
    const expected = await oracle(divergence, wide as never);
    const found = await (await (await open()).compile(divergence)).forwardBackward(given as never);
    expect(found.loss).toBeCloseTo(expected.loss, 3);
    const wanted = numbers(expected.gradLogits);
    const scale = Math.max(...wanted.map(Math.abs));
    const data = (found.gradLogits as { data?: Uint16Array }).data ?? found.gradLogits;
    const got = numbers(data instanceof Uint16Array ? widen(data, dtype as "bf16" | "f16") : data);
    const rounding = { f32: 1e-4, bf16: 2 ** -8, f16: 2 ** -11 }[dtype];
    wanted.forEach((y, i) => {
      expect(Math.abs((got[i] as number) - y), `entry ${i}`).toBeLessThanOrEqual(
        rounding * Math.abs(y) + 1e-5 * scale + 2 ** -25,
      );
    });
  });
});
