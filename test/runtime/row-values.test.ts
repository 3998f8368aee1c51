/** Expressions of rows whose values a rewrite of the compiler once changed, against `reference`. */
import { expect, test } from "vitest";
import {
  add,
  amin,
  atTarget,
  defineLoss,
  div,
  type Expr,
  exp,
  gt,
  index,
  type LossDefinition,
  log,
  logSigmoid,
  logSoftmax,
  mean,
  min,
  mul,
  neg,
  type Policy,
  pick,
  softmax,
  sub,
  sum,
  variance,
} from "../../dsl/index.js";
import { numbers, oracle, reference } from "./oracle.js";
import { eachDevice, expectError } from "./support.js";

const lossOf = (name: string, loss: (policy: Policy, inputs: { readonly x: Expr }) => Expr): LossDefinition =>
  defineLoss({ name, inputs: { x: "token" }, loss }) as unknown as LossDefinition;

const entropy = (z: Expr) => neg(sum(mul(softmax(z), logSoftmax(z)), "vocab"));
const centred = (z: Expr) => sub(z, mean(z, "vocab"));

const CASES = [
  {
    what: "the target's logprob under a temperature is rounded as its row is",
    loss: lossOf("tempered", (policy, { x }) => atTarget(logSoftmax(div(policy.logits, x)))),
    rows: [1000.1, 999.9, 1000.3],
    target: 2,
    x: 0.7,
    // Logits of 1428 lie 1.2e-4 apart in float32.
    tolerance: 4e-5,
  },
  {
    what: "a product of two differences from a mean is summed as it is written",
    loss: lossOf("spread", ({ logits }) => sum(mul(centred(logits), centred(logits)), "vocab")),
    rows: [3000, 3001, 3002.5],
    target: 0,
    x: 1,
    tolerance: 2e-6,
  },
  {
    what: "an exponential less a logarithm is no quotient, which would overflow",
    loss: lossOf("shifted", (policy, { x }) => sum(exp(sub(policy.logits, log(x))), "vocab")),
    rows: [93, 95, 90],
    target: 0,
    x: 1e35,
    tolerance: 2e-6,
  },
  {
    what: "an entry that is not there adds nothing, also where its exponential is taken from -Infinity",
    loss: lossOf("absent", (policy, { x }) => div(1, sum(exp(sub(policy.logits, x)), "vocab"))),
    rows: [1, Number.NEGATIVE_INFINITY, 2],
    target: 0,
    x: Number.NEGATIVE_INFINITY,
    tolerance: 0,
  },
  {
    what: "a sum of differences from a number that is known before is no difference of sums",
    loss: lossOf("distance", ({ logits }, { x }) => sum(mul(softmax(logits), sub(index("vocab"), x)), "vocab")),
    rows: Array.from({ length: 5000 }, (_, v) => (v === 4000 ? 30 : v === 4001 ? 23 : -40)),
    target: 0,
    x: 4000,
    tolerance: 1e-5,
  },
  {
    what: "a sum of differences that are 0 stays 0 beside an infinite number",
    loss: lossOf("cancelled", ({ logits }, { x }) => sum(mul(sub(logits, mul(logits, min(x, 1))), x), "vocab")),
    rows: [1, 2, 4],
    target: 2,
    x: Number.POSITIVE_INFINITY,
    tolerance: 0,
  },
  {
    what: "a row that is one number everywhere is a row",
    loss: lossOf("flat", ({ logits, logprobs }) => add(mul(entropy(mul(logits, 0)), -1), logprobs)),
    rows: [1, 2, 4],
    target: 2,
    x: 0,
    tolerance: 2e-6,
  },
];

const PREFERENCE = defineLoss({
  name: "pairs, token by token",
  inputs: { x: "sequence" },
  loss: ({ logprobs }, { x }) => mul(neg(logSigmoid(sub(pick(x, "sequences", 0), pick(x, "sequences", 1)))), neg(logprobs)),
});

const TAUGHT = defineLoss({
  name: "taught",
  inputs: { teacher: { space: "vocab", default: 0 } },
  loss: ({ logits }, { teacher }) => neg(sum(mul(softmax(teacher), logSoftmax(logits)), "vocab")),
});

eachDevice(
  (device) => {
    test("the default of a row's input gives the numbers that the same rows give, also beside an entry that is not there", async () => {
      const compiled = await (await device()).compile(TAUGHT);
      const logits = Float32Array.of(1, 2, 3, Number.NEGATIVE_INFINITY);
      const batch = { logits, target_tokens: [0], lengths: [1] };
      const left = await compiled.forwardBackward(batch);
      const given = await compiled.forwardBackward({ ...batch, teacher: new Float32Array(4) });
      expect(left.loss).toBeCloseTo(given.loss, 5);
      expect(left.loss).toBeCloseTo(1.0557, 3);
      for (const [v, g] of numbers(left.gradLogits).entries()) expect(g).toBeCloseTo(numbers(given.gradLogits)[v] as number, 5);
    });

    test.each([0, Number.NaN])("a pair with a masked sequence adds nothing per token either, its input is %s", async (masked) => {
      const compiled = await (await device()).compile(PREFERENCE);
      const inputs = { lengths: [1, 1], groups: [2], weights: [1, 0], x: [2, masked], policy_logprobs: Float32Array.of(-2, -1) };
      const { loss, gradLogprobs } = await compiled.forwardBackward(inputs);
      expect(loss).toBe(0);
      expect(numbers(gradLogprobs).map(Math.abs)).toEqual([0, 0]);
    });
  },
  ["reference", "cpu", "emulated"],
);

const OF_PICKED = defineLoss({
  name: "entries of a picked sequence",
  inputs: { r: "sequence" },
  loss: ({ logits, logprobs }, { r }) => {
    const [x, y] = [logits, logprobs].map((z) => add(pick(r, "sequences", 0), mul(0, z))) as [Expr, Expr];
    const of = (z: Expr) => [mean(z), variance(z), mean(gt(z, 0)), amin(z)];
    return { loss: mean(mul(x, logits)), metrics: Object.fromEntries([...of(x), ...of(y)].map((value, i) => [i, value])) };
  },
});

eachDevice(
  (device) => {
    test("a mean over entries counts those that its sum has, where a sequence is picked that is masked", async () => {
      const compiled = await (await device()).compile(OF_PICKED);
      const inputs = { lengths: [1, 1, 1, 1], groups: [2, 2], weights: [1, 1, 0, 1], r: [3, 1, 5, 1] };
      const batch = { ...inputs, logits: new Float32Array(8), target_tokens: [0, 0, 0, 0] };
      const { metrics, gradLogits } = await compiled.forwardBackward(batch);
      expect(metrics).toMatchObject({ ...[3, 0, 1, 3, 3, 0, 1, 3] });
      // Four entries count. The group whose first sequence is masked has none of them.
      expect(numbers(gradLogits).map(Math.abs)).toEqual([0.75, 0.75, 0.75, 0.75, 0, 0, 0, 0]);
    });
  },
  ["reference", "cpu", "emulated"],
);

test.each([
  ["a sum of entries' numbers", ({ logprobs }: Policy) => mul(logprobs, sum(index("vocab")))],
  ["a mean of them", () => mean(index("vocab"))],
  ["the target's", () => mean(atTarget(index("vocab")))],
])("%s from policy_logprobs, which know no vocabulary, is INPUT_MISSING", async (_, loss) => {
  const compiled = reference.compile(defineLoss({ name: "numbered", loss }));
  const call = async () => (await compiled).forwardBackward({ lengths: [1], policy_logprobs: [-1] });
  await expectError("INPUT_MISSING", call, "numbered", 'index("vocab")', "logits");
});

eachDevice(
  (device) => {
    test.each(CASES)("$what", async ({ loss, rows, target, x, tolerance }) => {
      const inputs = { logits: Float32Array.from(rows), target_tokens: [target], lengths: [1], x: Float32Array.of(x) };
      const options = { nonFinite: "propagate" } as const;
      const expected = await oracle(loss, inputs, options);
      const result = await (await (await device()).compile(loss)).forwardBackward(inputs, {}, options);
      expect(Math.abs(result.loss - expected.loss)).toBeLessThanOrEqual(tolerance * Math.abs(expected.loss));
      expect(Array.from(result.gradLogits as Float32Array).every(Number.isFinite)).toBe(
        Array.from(expected.gradLogits as Float64Array).every(Number.isFinite),
      );
    });
  },
  ["cpu", "emulated"],
);
