/** Names of inputs, config, metrics and outputs are the author's: any name keeps its value. */
import { expect, test } from "vitest";
import { emitText } from "../../codegen/emit/index.js";
import {
  add,
  defineLoss,
  type Expr,
  LosscError,
  type LossDefinition,
  mean,
  mul,
  type Num,
  type Policy,
  sub,
  sum,
} from "../../dsl/index.js";
import { openDevice, TrainingClient } from "../../index.js";
import type { CompiledLoss, LossInputs, LossResult } from "../../runtime/devices/device.js";
import { TablePolicy } from "../training/support.js";
import { numbers } from "./oracle.js";
import { crossEntropyInputs, eachDevice, expectClose, expectError, openOnly } from "./support.js";

/** Difficult names: names that objects inherit, names that end a comment or a line, and names that are no identifiers. */
const NAMES = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "valueOf",
  "loss",
  "*/ int x; /*",
  "two\nlines\\",
  "NUL\0and\u001b[31m\u202e",
  "größe Σ 🦊",
  " ",
];
const PLAIN = NAMES.map((_, i) => `plain${i}`);

const record = <T>(names: readonly string[], of: (i: number) => T): Record<string, T> =>
  Object.fromEntries(names.map((name, i) => [name, of(i)]));
const value = (i: number) => 0.25 * (i + 1);

/** Every input, every scalar and every constant count, each by a factor of its own. */
function lossOf(names: readonly string[], name: string) {
  return defineLoss({
    name,
    inputs: {
      ...record(names, (i) => (["token", "sequence", "batch"] as const)[i % 3] as "token"),
      ...record(
        names.slice(0, 2).map((key) => `rows ${key}`),
        () => ({ space: "vocab", default: 0.5 }) as const,
      ),
    },
    config: {
      ...record(names, value),
      ...record(
        names.map((key) => `static ${key}`),
        (i) => ({ value: i, static: true }) as const,
      ),
    },
    loss(policy, inputs, config) {
      const at = (of: object, key: string) => (of as Record<string, Expr>)[key] as Expr;
      const all = names.map((key, i) => mul(mul(at(inputs, key), at(config, key)), i + 1 + at(config, `static ${key}`)));
      const factor = all.reduce((a: Num, b: Num) => add(a, b), 1) as Expr;
      const rows = names.slice(0, 2).map((key) => sum(mul(policy.logits, at(inputs, `rows ${key}`)), "vocab"));
      return {
        loss: mul(factor, sub(policy.logprobs, add(rows[0] as Expr, rows[1] as Expr))),
        metrics: record(names, (i) => mean(mul(policy.logprobs, i + 1))),
        outputs: record(names, (i) => mul(policy.logprobs, i + 1)),
      };
    },
  });
}

const inputsOf = (names: readonly string[]): LossInputs => ({
  ...crossEntropyInputs(),
  ...record(names, (i) => [Float32Array.of(1, i, 3), [i, 2], i][i % 3]),
  [`rows ${names[0]}`]: Float32Array.from({ length: 12 }, (_, i) => i / 8),
});

const [strange, plain] = [lossOf(NAMES, "*/ strange\n\0 // 🦊"), lossOf(PLAIN, "plain")];

const reference = await openDevice("reference");
const [odd, even] = await Promise.all([strange, plain].map((loss) => reference.compile(loss)));

eachDevice(
  (open, device) => {
    test("every name keeps its value", async () => {
      const compiled = await (await open()).compile(strange);
      for (const given of [(i: number) => 1 + i / 8, null]) {
        const config = (names: readonly string[]) => (given ? record(names, given) : {});
        const result = await compiled.forwardBackward(inputsOf(NAMES), config(NAMES));
        const expected = (await even?.forwardBackward(inputsOf(PLAIN), config(PLAIN))) as LossResult;
        expectClose([result.loss], [expected.loss], 1e-5);
        expectClose(numbers(result.gradLogits), numbers(expected.gradLogits), 1e-5);
        expect(Object.keys(result.metrics)).toEqual(["loss:sum", ...NAMES]);
        expectClose(Object.values(result.metrics), Object.values(expected.metrics), 1e-5);
        expect(Object.keys(result.outputs)).toEqual(NAMES);
        expectClose(Object.values(result.outputs).flatMap(numbers), Object.values(expected.outputs).flatMap(numbers), 1e-5);
      }
      const empty = await compiled.forwardBackward({ ...inputsOf(NAMES), ...emptyOf(NAMES) });
      expect(Object.keys(empty.metrics)).toEqual(["loss:sum", ...NAMES]);
      if (device !== "reference") return;
      const some = await compiled.forwardBackward(inputsOf(NAMES), {}, { metrics: ["__proto__", "toString"] });
      expect(Object.keys(some.metrics)).toEqual(["loss:sum", "__proto__", "toString"]);
    });
  },
  ["reference", "cpu", "cuda:0"],
);

test("constants that are given when a loss is compiled", async () => {
  const lossWith = async (loss: LossDefinition, names: readonly string[]) => {
    const config = record([`static ${names[0]}`, names[0] as string], (i) => i + 5);
    return (await (await reference.compile(loss, { config })).forwardBackward(inputsOf(names))).loss;
  };
  expect(await lossWith(strange, NAMES)).toBe(await lossWith(plain, PLAIN));
  expect(await lossWith(strange, NAMES)).not.toBe((await odd?.forwardBackward(inputsOf(NAMES)))?.loss);
});

/** The same inputs without a token. */
function emptyOf(names: readonly string[]): LossInputs {
  const none = { lengths: [0], logits: [], target_tokens: [], vocab: 4, [`rows ${names[0]}`]: [] };
  return { ...none, ...record(names, (i) => [[], [i], i][i % 3]) };
}

test("a name that the caller does not give is missing, though every object inherits something so called", async () => {
  const compiled = await reference.compile<LossDefinition>(
    defineLoss({ name: "x", inputs: { toString: "token" }, loss: (_, i) => mul(i.toString as never, 1) }),
  );
  await expectError("INPUT_MISSING", () => compiled.forwardBackward(crossEntropyInputs()), "toString");
  await expectError(
    "CONFIG_UNKNOWN",
    () => compiled.forwardBackward(crossEntropyInputs(), { constructor: 1 } as never),
    "constructor",
  );
  await expectError(
    "USAGE",
    () => compiled.forwardBackward(crossEntropyInputs(), {}, { constructor: 1 } as never),
    "constructor",
  );
  const reads = (key: string) => () => reference.compile(defineLoss({ name: "x", loss: (_, i) => (i as never)[key] }));
  await expectError("INPUT_UNKNOWN", reads("valueOf"), 'reads the input "valueOf", which it does not declare; declare it');
  const optional = { toString: { space: "token", default: 2 }, constructor: { space: "sequence", default: 3 } } as const;
  const two = defineLoss({
    name: "two",
    inputs: optional,
    loss: (p, i) => mul(mul(p.logprobs, i.toString as never), i.constructor as never),
  });
  expect((await (await reference.compile<LossDefinition>(two)).forwardBackward(crossEntropyInputs())).loss).toBeLessThan(0);
});

test("data of a training client under names that every object inherits", async () => {
  const device = await openOnly("cpu");
  const client = new TrainingClient({ policy: await TablePolicy.create(device), device });
  const data = (names: readonly string[]) => [
    { modelInput: [1, 1], lossFnInputs: { target_tokens: [2, 2], ...record(names, (i) => i + 0.5) } },
    { modelInput: [3], lossFnInputs: { target_tokens: [0], ...record(names, (i) => i - 0.5) } },
  ];
  const total = (policy: Policy, inputs: object, config: object) =>
    NAMES.reduce((all: Num, key) => {
      const [x, factor] = [inputs, config].map((of) => (of as Record<string, Num>)[key]);
      return add(all, mul(mul(policy.logprobs, x as Num), factor as Num));
    }, 0) as Expr;
  const loss = defineLoss({
    name: "trained",
    inputs: record(NAMES, () => ({ space: "sequence", default: 2 }) as const),
    config: record(NAMES, value),
    loss: total,
  });
  const logprobs = (await client.forward(data([]), "cross_entropy")).lossFnOutputs.map((output) => numbers(output.logprobs));
  const expected = (count: number, factor: (i: number) => number) =>
    [0.5, -0.5]
      .map((add, d) => {
        const sum = (logprobs[d] as number[]).reduce((a, b) => a + b);
        return NAMES.reduce((all, _, i) => all + sum * (i < count ? i + add : 2) * factor(i), 0);
      })
      .reduce((a, b) => a + b);
  const result = await client.forward(
    data(NAMES.slice(0, 3)),
    loss,
    record(NAMES.slice(0, 2), (i) => i + 2),
  );
  expectClose([result.loss], [expected(3, (i) => (i < 2 ? i + 2 : value(i)))], 1e-5);
  const bare = await client.forwardBackwardCustom(data(NAMES), (policy, inputs) =>
    total(
      policy,
      inputs,
      record(NAMES, () => 1),
    ),
  );
  expectClose([bare.loss], [expected(NAMES.length, () => 1)], 1e-5);
});

test.each(["cpu", "cuda", "emulated"] as const)(
  "the text for %s holds names in comments alone, in printable characters",
  (target) => {
    const [ours, theirs] = [odd, even].map(
      (loss) => emitText((loss as CompiledLoss).plan(), { target, architecture: "sm_90", vocab: 4 }).text,
    ) as [string, string];
    const withoutComments = (code: string) => code.replaceAll(/ *\/\/.*$/gm, "");
    expect(withoutComments(ours)).toBe(withoutComments(theirs));
    const unprintable = (code: string) => new Set(code.match(/[^\n -~]/g));
    expect(unprintable(ours)).toEqual(unprintable(theirs));
  },
);

test("messages show what a terminal would obey", () => {
  expect(new LosscError("USAGE", 'the loss "a\0b\u001b[2J\u202e" is one\n  of two lines').message).toBe(
    'the loss "a\\u0000b\\u001b[2J\\u202e" is one\n  of two lines',
  );
});
