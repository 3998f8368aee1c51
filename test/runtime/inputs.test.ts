import { describe, expect, test } from "vitest";
import { defineLoss, type LossDefinition, mul } from "../../dsl/index.js";
import { cross_entropy, ppo } from "../../losses/index.js";
import type { Device, DeviceBuffer, LossInputs } from "../../runtime/devices/device.js";
import { openDevice } from "../../runtime/index.js";
import { checkInputs } from "../../runtime/inputs/check.js";
import { checkConfig } from "../../runtime/inputs/config.js";
import { crossEntropyInputs, expectError, openOnly, ppoInputs } from "./support.js";

const device: Device = await openDevice("reference");
const check = (loss: LossDefinition, given: object) => checkInputs(loss, given as LossInputs, device, 0);

/** A loss with an input in every space. */
const spaces = defineLoss({
  name: "spaces",
  inputs: {
    token_input: "token",
    half: { space: "token", dtype: "bf16" },
    reward: "sequence",
    scale: "batch",
    optional: { space: "token", default: 0.5 },
  },
  loss: (policy, inputs) => mul(policy.logprobs, inputs.token_input),
});
const spacesInputs = () => ({ ...crossEntropyInputs(), token_input: [1, 2, 3], half: [1, 2, 3], reward: [4, 5], scale: 6 });

describe("what is accepted", () => {
  test("arrays of every kind, widths that fit, and what may be left out", () => {
    const checked = check(spaces, spacesInputs());
    expect(checked.shape).toEqual({ lengths: [2, 1], groups: null, vocab: 4, tokens: 3 });
    expect(Object.keys(checked.inputs).sort()).toEqual(["half", "reward", "scale", "token_input"]);
    check(spaces, { ...spacesInputs(), token_input: Float64Array.of(1, 2, 3), optional: Float32Array.of(1, 2, 3) });
    check(spaces, { ...spacesInputs(), half: { data: new Uint16Array(3), dtype: "bf16" } });
    // Widening loses nothing.
    check(spaces, { ...spacesInputs(), token_input: { data: new Uint16Array(3), dtype: "f16" } });
    check(spaces, { ...spacesInputs(), optional: undefined, weights: undefined, groups: undefined });
  });

  test("targets as Int32Array, Uint32Array, BigInt64Array and plain arrays", () => {
    for (const targets of [Int32Array.of(2, 3, 1), Uint32Array.of(2, 3, 1), BigInt64Array.of(2n, 3n, 1n), [2, 3, 1]]) {
      const { targets: found } = check(cross_entropy, { ...crossEntropyInputs(), target_tokens: targets });
      expect(found?.kind === "host" && [...found.array]).toEqual([2, 3, 1]);
    }
  });

  test("values that are no finite numbers: they are data", () => {
    check(ppo, {
      ...ppoInputs(),
      advantages: [Number.NaN, Number.POSITIVE_INFINITY, 0],
      logprobs: [0, Number.NEGATIVE_INFINITY, 0],
    });
  });

  test("data without tokens, and no data at all", () => {
    expect(check(cross_entropy, { lengths: [0, 0], logits: [], target_tokens: [] }).shape).toMatchObject({
      tokens: 0,
      lengths: [0, 0],
    });
    expect(check(cross_entropy, { lengths: [], vocab: 7, logits: [], target_tokens: [] }).shape.vocab).toBe(7);
    check(cross_entropy, { lengths: Int32Array.of(0, 3), logits: crossEntropyInputs().logits, target_tokens: [0, 0, 0] });
  });

  test("policy_logprobs in place of logits and targets", () => {
    const checked = check(ppo, { lengths: [2, 1], policy_logprobs: [-1, -2, -3], logprobs: [0, 0, 0], advantages: [1, 1, 1] });
    expect(checked.logits).toBe(null);
    expect(checked.targets).toBe(null);
    expect(checked.shape.vocab).toBe(0);
  });

  test("groups, also where the loss does not use them", () => {
    expect(check(cross_entropy, { ...crossEntropyInputs(), groups: [1, 1] }).shape.groups).toEqual([1, 1]);
  });

  test("a caller's Float32Array is not copied, a plain array is", () => {
    const given = crossEntropyInputs();
    const { logits } = check(cross_entropy, given);
    expect(logits?.kind === "host" && logits.array).toBe(given.logits);
  });
});

type Mistake = readonly [change: object, ...said: string[]];

const MISTAKES: Record<string, Record<string, Mistake>> = {
  INPUT_MISSING: {
    "no lengths": [{ lengths: undefined }, "lengths", "number of tokens of each datum"],
    "no logits": [{ logits: undefined }, "logits", "policy_logprobs"],
    "no targets": [{ target_tokens: undefined }, "target_tokens"],
    "no declared input": [{ token_input: undefined }, "token_input", "per token"],
    "no batch input": [{ scale: undefined }, "scale", "one number"],
  },
  INPUT_UNKNOWN: {
    "a misspelt name": [{ target_token: [1] }, '"target_token"', 'did you mean "target_tokens"?'],
    "a name of nothing": [{ zzzzzzzz: [1] }, '"zzzzzzzz"', "its inputs are lengths, groups"],
    "logits and policy_logprobs": [{ policy_logprobs: [1, 2, 3] }, "logits", "policy_logprobs", "leave one out"],
  },
  INPUT_LENGTH: {
    "a negative length": [{ lengths: [-1, 4] }, "lengths[0] is -1", "whole number ≥ 0"],
    "a broken length": [{ lengths: [2, 1.5] }, "lengths[1] is 1.5"],
    "a length that is NaN": [{ lengths: [Number.NaN] }, "lengths[0] is NaN"],
    "a length that is a string": [{ lengths: ["3"] }, 'lengths[0] is "3"'],
    "more tokens than there can be": [{ lengths: [2 ** 31] }, "at most", "split the batch"],
    "logits that make no rows": [{ logits: new Float32Array(11) }, "11 entries", "3 tokens"],
    "no logits for tokens": [{ logits: new Float32Array(0) }, "0 entries", "3 tokens"],
    "logits for no tokens": [{ lengths: [] }, "12 entries", "0 tokens"],
    "a vocab that does not fit": [{ vocab: 5 }, "12 entries", "3 tokens of 5 vocabulary entries", "15"],
    "a vocab of 0": [{ vocab: 0 }, "vocab is 0"],
    "targets too few": [{ target_tokens: [1, 2] }, "target_tokens has 2 entries", "3 tokens in 2 data", "per token"],
    "an input too long": [{ token_input: [1, 2, 3, 4] }, "token_input has 4 entries", "that is 3"],
    "one per datum where one per token is meant": [{ weights: [1, 1] }, "weights has 2 entries", "is it meant per datum?"],
    "one per token where one per datum is meant": [{ reward: [1, 2, 3] }, "reward has 3 entries", "per datum, that is 2"],
    "groups that do not sum up": [{ groups: [1] }, "groups sum to 1", "2 data"],
    "an empty group": [{ groups: [2, 0] }, "groups[1] is 0", "≥ 1"],
  },
  INPUT_DTYPE: {
    "lengths that are no array": [{ lengths: 3 }, "lengths is 3"],
    "logits as a string": [{ logits: "abc" }, 'logits is "abc"', "Float32Array"],
    "logits as bits without a dtype": [{ logits: new Uint16Array(12) }, "Uint16Array", 'dtype: "bf16"'],
    "logits as integers": [{ logits: new Int32Array(12) }, "a Int32Array"],
    "logits row by row": [{ logits: [[1], [2], [3]] }, "logits[0] is an array", "one flat array"],
    "a hole": [{ logits: [1, undefined, 3] }, "logits[1] is undefined"],
    "a string among numbers": [{ token_input: [1, "2", 3] }, 'token_input[1] is "2"'],
    "an unknown dtype": [{ logits: { data: new Uint16Array(12), dtype: "fp8" } }, '"fp8"', '"bf16"'],
    "bits in the wrong array": [{ logits: { data: new Float32Array(12), dtype: "bf16" } }, "a Float32Array", "Uint16Array"],
    "f16 where bf16 is declared": [{ half: { data: new Uint16Array(3), dtype: "f16" } }, "half is f16", "bf16"],
    "a number where an array is meant": [{ token_input: 3 }, "token_input is one number", "token space"],
    "an array where a number is meant": [{ scale: [3] }, "scale is an array", "one number"],
    "a target that is no whole number": [{ target_tokens: [0, 1.5, 2] }, "target_tokens[1] is 1.5"],
    "a target that is NaN": [{ target_tokens: [0, Number.NaN, 2] }, "target_tokens[1] is NaN"],
    "targets as floats": [{ target_tokens: Float32Array.of(0, 1, 2) }, "a Float32Array", "Int32Array"],
    "a target that is no number": [{ target_tokens: [0, null, 2] }, "target_tokens[1] is null"],
  },
  TARGET_OUT_OF_RANGE: {
    "above the vocabulary": [{ target_tokens: [0, 1, 4] }, "target_tokens[2] (datum 1, token 0)", "is 4, outside", "0 … 3"],
    "below 0": [{ target_tokens: Int32Array.of(0, -1, 2) }, "target_tokens[1] (datum 0, token 1)", "-1"],
    "beyond int32": [{ target_tokens: [2 ** 32 + 1, 0, 0] }, "4294967297"],
    "where the weight is 0": [{ target_tokens: [0, -100, 2], weights: [1, 0, 1] }, "-100", "also where the weight is 0"],
  },
};

describe.each(Object.entries(MISTAKES))("%s", (code, mistakes) => {
  test.each(Object.entries(mistakes))("%s", async (_, [change, ...said]) => {
    await expectError(code as "INPUT_LENGTH", () => check(spaces, { ...spacesInputs(), ...change }), ...said);
    check(spaces, spacesInputs());
  });
});

describe("buffers", () => {
  const buffer = async (dtype: "f32" | "bf16" | "f64" | "i32", length: number): Promise<DeviceBuffer> =>
    device.buffer({ dtype, length });

  test("of the right dtype are taken", async () => {
    const checked = check(spaces, {
      ...spacesInputs(),
      logits: await buffer("bf16", 12),
      target_tokens: await buffer("i32", 3),
      half: await buffer("bf16", 3),
    });
    expect(checked.logits).toMatchObject({ kind: "device", dtype: "bf16", length: 12 });
  });

  test("of another dtype are not", async () => {
    const wrong = async (name: string, dtype: "f32" | "bf16" | "f64" | "i32", length: number, ...said: string[]) => {
      const given = { ...spacesInputs(), [name]: await buffer(dtype, length) };
      await expectError("INPUT_DTYPE", () => check(spaces, given), name, dtype, ...said);
    };
    await wrong("logits", "i32", 12);
    await wrong("target_tokens", "f32", 3, "i32");
    await wrong("token_input", "bf16", 3, "declares f32");
    await wrong("half", "f32", 3, "declares bf16");
    await wrong("reward", "f64", 2, "declares f32");
  });

  test("of another device are not", async () => {
    const other = await openOnly("reference");
    const given = { ...crossEntropyInputs(), logits: await other.buffer({ dtype: "f32", length: 12 }) };
    await expectError("INPUT_DTYPE", () => check(cross_entropy, given), "another device");
  });

  test("that were disposed of are DISPOSED", async () => {
    const logits = await buffer("f32", 12);
    logits.dispose();
    logits.dispose();
    await expectError("DISPOSED", () => check(cross_entropy, { ...crossEntropyInputs(), logits }), "logits");
    await expectError("DISPOSED", () => logits.read(), "12 elements");
  });
});

test("inputs that are no object", async () => {
  await expectError("INPUT_MISSING", () => checkInputs(ppo, null as unknown as LossInputs, device, 0), "null");
});

test("a loss that compares groups asks for them", async () => {
  await expectError("INPUT_MISSING", () => checkInputs(cross_entropy, crossEntropyInputs(), device, 1), "groups");
});

describe("config", () => {
  const loss = defineLoss({
    name: "configured",
    config: { beta: 0.1, kind: "plain", flag: true, power: { value: 3, static: true } },
    loss: (policy) => policy.logprobs,
  });

  test("defaults, then each layer", () => {
    const checked = checkConfig(loss, { beta: 2, kind: "other" }, { beta: 3, flag: undefined });
    expect(checked.scalars).toEqual({ beta: 3 });
    expect(checked.statics).toEqual({ kind: "other", flag: true, power: 3 });
  });

  test.each<[string, "CONFIG_UNKNOWN" | "CONFIG_INVALID", object | null, ...string[]]>([
    ["a misspelt name", "CONFIG_UNKNOWN", { betta: 1 }, '"betta"', 'did you mean "beta"?'],
    ["a name of nothing", "CONFIG_UNKNOWN", { zzzzzzzzz: 1 }, "its config is beta, kind, flag, power"],
    ["a name of Object's", "CONFIG_UNKNOWN", { constructor: 1 }, '"constructor"'],
    ["NaN", "CONFIG_INVALID", { beta: Number.NaN }, '"beta"', "NaN", "finite number"],
    ["an infinity", "CONFIG_INVALID", { beta: Number.POSITIVE_INFINITY }, "Infinity"],
    ["a string for a number", "CONFIG_INVALID", { beta: "0.1" }, '"0.1"', "finite number"],
    ["a number for a string", "CONFIG_INVALID", { kind: 1 }, "must be a string"],
    ["a number for a boolean", "CONFIG_INVALID", { flag: 1 }, "must be a boolean"],
    ["an infinite constant", "CONFIG_INVALID", { power: Number.POSITIVE_INFINITY }, "finite number"],
    ["null", "CONFIG_INVALID", null, "null"],
    ["an array", "CONFIG_INVALID", [1], "an array"],
  ])("%s", async (_, code, values, ...said) => {
    await expectError(code, () => checkConfig(loss, values as never), ...said);
  });
});
