/**
 * Short rows, of which a thread of the CPU works on 16 at once: on both sides of that border, of whole and of broken sixteens, with any content.
 */
import { describe, expect, test } from "vitest";
import { rowsAtOnce } from "../../codegen/emit/targets/cpu.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import type { LossDefinition } from "../../dsl/index.js";
import { add, defineLoss, erf, exp, log, mul, sub, sum } from "../../dsl/index.js";
import { forward_kl, jsd, ppo } from "../../losses/index.js";
import { coreLosses } from "../codegen/golden-losses.js";
import { agrees, batchOf, expectNear, gradientOf, inputsFor } from "../emulated/batch.js";
import { numbersFrom } from "../sample.js";
import { failure, openOnly } from "./support.js";

const DTYPES = ["f32", "bf16", "f16"] as const;
const BYTES = { f32: 4, bf16: 2, f16: 2 } as const;
const TOKENS = [1, 2, 15, 16, 17, 33];

/** The longest row of which 16 are worked on at once. */
function longest(...entryBytes: number[]): number {
  let vocab = 1;
  while (rowsAtOnce({ vocab: vocab + 1, entryBytes, values: 2 }) === 16) vocab++;
  return vocab;
}
const vocabularies = (dtype: LogitsDtype) => {
  const last = longest(BYTES[dtype]);
  return [1, 2, 7, 15, 16, 17, 31, 64, 65, last, last + 1];
};

test("the border is a row's bytes, those of all rows together", () => {
  expect(longest(4)).toBeGreaterThan(64);
  expect(longest(2)).toBe(2 * longest(4));
  expect(longest(2, 2)).toBe(longest(4));
  expect(rowsAtOnce({ vocab: 32768, entryBytes: [2], values: 2 })).toBe(1);
});

describe.each(DTYPES)("%s", (dtype) => {
  test("ppo in place agrees with reference", async () => {
    const device = await openOnly("cpu");
    for (const vocab of vocabularies(dtype))
      for (const tokens of TOKENS) await agrees(device, ppo, batchOf([tokens], vocab, dtype, false, vocab * 64 + tokens));
  });

  test("a function of libm is known for packets of entries and for values per row", async () => {
    const device = await openOnly("cpu");
    const gelu = defineLoss({
      name: "gelu of a row and of a logprob",
      loss: ({ logits, logprobs }) => add(sum(mul(logits, erf(mul(logits, Math.SQRT1_2))), "vocab"), erf(logprobs)),
    });
    for (const vocab of [17, longest(BYTES[dtype]), longest(BYTES[dtype]) + 1])
      await agrees(device, gelu, batchOf([17], vocab, dtype, false, vocab));
  });

  test("two sweeps, and tokens that look up their sequence", async () => {
    const device = await openOnly("cpu");
    for (const vocab of vocabularies(dtype)) {
      await agrees(device, coreLosses.variance, batchOf([1, 15, 16, 2], vocab, dtype, false, vocab));
      await agrees(device, coreLosses["sequence-policy"], batchOf([1, 15, 0, 16, 2], vocab, dtype, true, vocab));
    }
  });

  test("a row has the same bits at every place and beside every other row", async () => {
    const device = await openOnly("cpu");
    const compiled = await device.compile(ppo, { dtype });
    for (const vocab of [5, 64, longest(BYTES[dtype]), longest(BYTES[dtype]) + 1]) {
      const tokens = 35;
      const all = inputsFor(ppo, batchOf([tokens], vocab, dtype, false).inputs()) as never as Record<string, Float32Array>;
      const part = (from: number, to: number) => {
        const { logits, ...rest } = all as never as { logits: Float32Array | { data: Uint16Array; dtype: "bf16" } };
        const rows = <A extends { slice(from: number, to: number): A }>(a: A) => a.slice(from * vocab, to * vocab);
        return {
          ...Object.fromEntries(Object.entries(rest).map(([key, x]) => [key, (x as never as Float32Array).slice(from, to)])),
          lengths: [to - from],
          logits: "data" in logits ? { ...logits, data: rows(logits.data) } : rows(logits),
        } as never;
      };
      const whole = await compiled.forwardBackward(part(0, tokens));
      for (const [from, to] of [
        [0, 1],
        [15, 17],
        [16, 33],
        [34, 35],
        [3, 35],
      ] as const) {
        const { logprobs, gradLogits } = await compiled.forwardBackward(part(from, to));
        expect(logprobs, `V ${vocab}, tokens ${from} to ${to}`).toEqual((whole.logprobs as Float32Array).slice(from, to));
        expect(gradLogits).toEqual((whole.gradLogits as Float32Array).slice(from * vocab, to * vocab));
      }
    }
  });
});

describe("two rows", () => {
  const losses = { forward_kl, jsd } as never as Record<string, LossDefinition>;
  test.each(Object.keys(losses))("%s agrees with reference", async (name) => {
    const loss = losses[name] as LossDefinition;
    const [device, reference] = [await openOnly("cpu"), await openOnly("reference")];
    const [compiled, oracle] = [await device.compile(loss), await reference.compile(loss)];
    for (const vocab of [2, 15, 16, 17, 64, longest(4, 4), longest(4, 4) + 1]) {
      for (const tokens of [1, 16, 19]) {
        const batch = batchOf([tokens], vocab, "f32", false, vocab + tokens);
        const random = numbersFrom(vocab);
        const teacher_logits = Float32Array.from(batch.wide, () => random() * 6 - 3);
        const { lengths, target_tokens } = batch.inputs();
        const inputs = { lengths, target_tokens, teacher_logits };
        // The student has every entry that the teacher has.
        const logits = Float32Array.from(batch.wide, (z) => (Number.isFinite(z) ? z : -9));
        const expected = await oracle.forwardBackward({ ...inputs, logits: Float64Array.from(logits) } as never);
        const got = await compiled.forwardBackward({ ...inputs, logits });
        expectNear([got.loss], [expected.loss], 0, `V ${vocab}, loss`);
        expectNear(got.logprobs as Float32Array, expected.logprobs as Float64Array, 0, `V ${vocab}, logprobs`);
        expectNear(got.gradLogits as Float32Array, expected.gradLogits as never as Float64Array, 0, `V ${vocab}, gradient`);
      }
    }
  });
});

describe("rows that are not as the others", () => {
  const VOCAB = 20;
  const TOKENS_HERE = 37;
  const inputs = (dtype: LogitsDtype = "f32") => inputsFor(ppo, batchOf([TOKENS_HERE], VOCAB, dtype, false).inputs());

  test.each([true, false])("of weight 0 may hold anything and get zeros (skipMasked: %s)", async (skipMasked) => {
    const compiled = await (await openOnly("cpu")).compile<LossDefinition>(ppo);
    const weights = Float32Array.from({ length: TOKENS_HERE }, (_, t) => (t % 5 === 0 || (t >= 16 && t < 32) ? 0 : 0.5));
    const clean = await compiled.forwardBackward({ ...inputs(), weights });
    const logits = (inputs().logits as Float32Array).map((z, i) =>
      weights[Math.floor(i / VOCAB)] === 0
        ? ([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1][i % 4] ?? 0)
        : z,
    );
    const result = await compiled.forwardBackward({ ...inputs(), logits, weights }, {}, { skipMasked, inPlace: true });
    expect(result.loss).toBe(clean.loss);
    expect(result.gradLogits).toEqual(clean.gradLogits);
    const logprobs = result.logprobs as Float32Array;
    weights.forEach((weight, t) => {
      if (weight !== 0) expect(logprobs[t]).toBe(clean.logprobs?.[t]);
      else if (skipMasked) expect(logprobs[t]).toBe(0);
    });
  });

  test.each([0, 5, 15, 16, 31, 36])("the first that is not finite is named: token %i", async (bad) => {
    const compiled = await (await openOnly("cpu")).compile<LossDefinition>(ppo);
    const logits = (inputs().logits as Float32Array).slice();
    for (const t of [bad, TOKENS_HERE - 1]) logits[t * VOCAB + 3] = Number.NaN;
    const error = await failure(() => compiled.forwardBackward({ ...inputs(), logits }));
    expect(error.code).toBe("NON_FINITE");
    expect(error.message).toContain(`token ${bad}`);
    const { gradLogits } = await compiled.forwardBackward({ ...inputs(), logits }, {}, { nonFinite: "propagate" });
    const clean = await compiled.forwardBackward(inputs());
    const found = gradLogits as Float32Array;
    for (let t = 0; t < TOKENS_HERE; t++) {
      const row = found.slice(t * VOCAB, (t + 1) * VOCAB);
      if (t === bad || t === TOKENS_HERE - 1) expect(row.some(Number.isNaN), `token ${t}`).toBe(true);
      else expect(row, `token ${t}`).toEqual((clean.gradLogits as Float32Array).slice(t * VOCAB, (t + 1) * VOCAB));
    }
  });

  test.each([0, 15, 16, 36])("a bad target is flagged and reads nothing: token %i", async (bad) => {
    const device = await openOnly("cpu");
    const compiled = await device.compile<LossDefinition>(ppo);
    const targets = (inputs().target_tokens as Int32Array).slice();
    for (const t of [bad, TOKENS_HERE - 1]) targets[t] = t % 2 ? 2_000_000_000 : -7;
    const target_tokens = await device.buffer(targets);
    const error = await failure(() => compiled.forwardBackward({ ...inputs(), target_tokens }));
    expect(error.code).toBe("TARGET_OUT_OF_RANGE");
    expect(error.message).toContain(`target_tokens[${bad}]`);
  });

  test("bf16 with a target of -inf: its gradient is 0, its logprob -inf", async () => {
    const compiled = await (await openOnly("cpu")).compile(coreLosses.cross_entropy as never as LossDefinition, {
      dtype: "bf16",
    });
    const { data } = inputs("bf16").logits as { data: Uint16Array };
    const target_tokens = inputs().target_tokens as Int32Array;
    data[18 * VOCAB + (target_tokens[18] as number)] = 0xff80;
    const { logprobs, gradLogits } = await compiled.forwardBackward(
      { lengths: [TOKENS_HERE], logits: { data, dtype: "bf16" }, target_tokens },
      {},
      { nonFinite: "propagate" },
    );
    expect(logprobs?.[18]).toBe(Number.NEGATIVE_INFINITY);
    expect(gradientOf(gradLogits as Uint16Array, "bf16")[18 * VOCAB + (target_tokens[18] as number)]).toBe(0);
    expect((logprobs as Float32Array).every((x, t) => t === 18 || Number.isFinite(x))).toBe(true);
  });
});

test("exp and log of a token are within half a unit in the last place and a hundredth", async () => {
  const functions = defineLoss({
    name: "functions of a token",
    inputs: { x: "token", y: "token" },
    loss: (policy, { x, y }) => ({
      loss: mul(0, sum(mul(sub(policy.logits, policy.logits), 0), "vocab")),
      outputs: { exp: exp(x), log: log(y) },
    }),
  }) as never as LossDefinition;
  const compiled = await (await openOnly("cpu")).compile(functions);
  const tokens = 40_000;
  const random = numbersFrom(7);
  const x = Float32Array.from({ length: tokens }, () => -87 + random() * 175);
  const y = Float32Array.from({ length: tokens }, (_, i) => (i % 2 ? 1 + (random() - 0.5) / 8 : 2 ** (random() * 250 - 125)));
  x.set([0, -0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NaN, 1000, -1000, -100]);
  y.set([1, 0, -1, Number.POSITIVE_INFINITY, Number.NaN, 2 ** -140, Number.NEGATIVE_INFINITY, -0]);
  const { outputs } = await compiled.forwardBackward(
    { lengths: [tokens], logits: new Float32Array(tokens * 2), target_tokens: new Int32Array(tokens), x, y },
    {},
    { nonFinite: "propagate" },
  );
  for (const [name, given, f] of [
    ["exp", x, Math.exp],
    ["log", y, Math.log],
  ] as const) {
    const found = outputs[name] as Float32Array;
    for (const [i, value] of given.entries()) {
      const wanted = f(value);
      const got = found[i] as number;
      if (!Number.isFinite(wanted) || wanted === 0 || Math.fround(wanted) === Number.POSITIVE_INFINITY) {
        expect(got, `${name}(${value})`).toBe(Math.fround(wanted));
      } else {
        const unit = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(wanted))), -126) - 23);
        expect(Math.abs(got - wanted) / unit, `${name}(${value})`).toBeLessThan(0.51);
      }
    }
  }
});
