/** Each code with the mistake that causes it, on the command line; after each, in a sample after all of them, the next call works. */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { ALL } from "../sample.js";
import { CASE, type EvalResult, failure, folder, lossc, PLAIN, result } from "./lossc.js";

(ALL ? afterEach : afterAll)(async () => {
  expect(await result<EvalResult>(["eval", "cross_entropy", "--device", "cpu"], { stdin: PLAIN })).toHaveProperty(
    "device",
    "cpu",
  );
});

describe("USAGE", () => {
  const mistakes: readonly (readonly [name: string, args: readonly string[], stdin: unknown, says: string])[] = [
    ["no command", [], "", "a command is needed"],
    ["an unknown command", ["evaluate"], "", "unknown command 'evaluate'"],
    ["an unknown option", ["eval", "ppo", "--devise", "cpu"], CASE, "--device"],
    ["an option without its value", ["eval", "ppo", "--device"], CASE, "--device"],
    ["too many arguments", ["eval", "ppo", "dro"], CASE, "too many arguments"],
    ["no loss", ["eval"], CASE, "a loss is needed"],
    ["no loss to emit", ["emit"], "", "loss"],
    ["an unknown target", ["emit", "ppo", "--target", "metal"], "", "cuda, cpu, emulated"],
    ["an unknown dtype", ["emit", "ppo", "--dtype", "f64"], "", "f32, bf16, f16"],
    ["an architecture that is none", ["emit", "ppo", "--arch", "sm_90; touch pwned"], "", "sm_90"],
    ["a vocabulary that is none", ["emit", "ppo", "--vocab", "1.5"], "", "whole number"],
    ["an empty vocabulary", ["emit", "ppo", "--vocab", "0"], "", "whole number"],
    ["a seed that is none", ["check", "ppo", "--seed", "x"], "", "whole number"],
    ["empty stdin", ["eval", "ppo"], "", "stdin is empty"],
    ["stdin that is no JSON", ["eval", "ppo"], "{", "stdin is no JSON"],
    ["an array without --cases", ["eval", "ppo"], [{ loss: "ppo", case: CASE }], "--cases"],
    ["no array with --cases", ["eval", "--cases"], CASE, "array"],
    ["a case that is no object", ["eval", "ppo"], "1", "a case is an object"],
    ["an unknown key of a case", ["eval", "ppo"], { ...CASE, target_token: [] }, 'did you mean "target_tokens"?'],
    ["inputs that are no object", ["eval", "ppo"], { ...CASE, inputs: [] }, "inputs is an object"],
    ["a configuration that is no JSON", ["eval", "ppo", "--config", "{beta: 1}"], CASE, "--config is no JSON"],
  ];
  test.each(mistakes)("%s", async (_name, args, stdin, says) => {
    const { code, message, exit } = await failure(args, { stdin });
    expect([code, exit]).toEqual(["USAGE", 2]);
    expect(message).toContain(says);
  });
});

describe("mistakes in what a loss is given", () => {
  const mistakes: readonly (readonly [
    code: string,
    name: string,
    loss: string,
    stdin: unknown,
    says: string,
    ...args: string[],
  ])[] = [
    ["LOSS_UNKNOWN", "an unknown loss", "poo", CASE, 'did you mean "ppo"?'],
    ["LOSS_UNKNOWN", "a name that every object has", "constructor", CASE, "cross_entropy"],
    ["CONFIG_UNKNOWN", "an unknown config", "dro", CASE, '"beta"', "--config", '{"bta": 1}'],
    ["CONFIG_INVALID", "a config of the wrong type", "dro", CASE, "beta", "--config", '{"beta": "1"}'],
    ["CONFIG_INVALID", "a config that is NaN", "dro", CASE, "beta", "--config", '{"beta": "NaN"}'],
    ["CONFIG_INVALID", "a config that is null", "dro", CASE, "beta", "--config", '{"beta": null}'],
    ["CONFIG_INVALID", "a config that is no object", "dro", CASE, "object", "--config", "[1]"],
    ["INPUT_MISSING", "no lengths", "ppo", { ...CASE, lengths: undefined }, "lengths"],
    ["INPUT_MISSING", "no logits", "ppo", { ...CASE, logits: undefined }, "logits"],
    ["INPUT_MISSING", "no targets", "ppo", { ...CASE, target_tokens: undefined }, "target_tokens"],
    ["INPUT_MISSING", "no advantages", "ppo", { ...CASE, inputs: { logprobs: [0, 0, 0] } }, "advantages"],
    [
      "INPUT_UNKNOWN",
      "an input that the loss does not have",
      "ppo",
      { ...CASE, inputs: { ...CASE.inputs, advantage: [1] } },
      '"advantage',
    ],
    [
      "INPUT_UNKNOWN",
      "a key of the case among the inputs",
      "ppo",
      { ...CASE, inputs: { ...CASE.inputs, target_tokens: [1] } },
      "beside inputs",
    ],
    ["INPUT_UNKNOWN", "an input called __proto__", "ppo", JSON.stringify(CASE).replace('"logprobs"', '"__proto__"'), "__proto__"],
    ["INPUT_UNKNOWN", "logits and policy_logprobs", "ppo", { ...CASE, policy_logprobs: [0, 0, 0] }, "policy_logprobs"],
    ["INPUT_LENGTH", "a length that is no whole number", "ppo", { ...CASE, lengths: [1.5, 1.5] }, "lengths[0]"],
    ["INPUT_LENGTH", "a length below 0", "ppo", { ...CASE, lengths: [4, -1] }, "lengths[1]"],
    ["INPUT_LENGTH", "a length that is a text", "ppo", { ...CASE, lengths: ["2", 1] }, "lengths[0]"],
    ["INPUT_LENGTH", "lengths that do not sum to the tokens", "ppo", { ...CASE, lengths: [2, 2] }, "12"],
    ["INPUT_LENGTH", "too few logits", "ppo", { ...CASE, logits: [1, 2, 3] }, "logits"],
    [
      "INPUT_LENGTH",
      "too many advantages",
      "ppo",
      { ...CASE, inputs: { ...CASE.inputs, advantages: [1, 2, 3, 4] } },
      "advantages",
    ],
    ["INPUT_LENGTH", "too few targets", "ppo", { ...CASE, target_tokens: [1] }, "target_tokens"],
    ["INPUT_LENGTH", "a vocabulary that is no whole number", "ppo", { ...CASE, vocab: 2.5 }, "vocab"],
    ["INPUT_LENGTH", "groups that do not sum to the sequences", "ppo", { ...CASE, groups: [1] }, "groups"],
    ["INPUT_LENGTH", "an empty group", "ppo", { ...CASE, groups: [2, 0] }, "groups[1]"],
    ["INPUT_DTYPE", "a target that is no whole number", "ppo", { ...CASE, target_tokens: [0, 1.5, 0] }, "target_tokens[1]"],
    ["INPUT_DTYPE", "a target that is a text", "ppo", { ...CASE, target_tokens: [0, "1", 0] }, "target_tokens[1]"],
    ["INPUT_DTYPE", "a target that is NaN", "ppo", { ...CASE, target_tokens: [0, "NaN", 0] }, "target_tokens[1]"],
    ["INPUT_DTYPE", "a logit that is a text", "ppo", { ...CASE, logits: [...CASE.logits.slice(1), "1"] }, "logits[8]"],
    ["INPUT_DTYPE", "a logit that is null", "ppo", { ...CASE, logits: [null, ...CASE.logits.slice(1)] }, "logits[0]"],
    [
      "INPUT_DTYPE",
      "logits in rows",
      "ppo",
      {
        ...CASE,
        logits: [
          [1, 2, 3],
          [0, 0, 0],
          [-1, 0.5, 2],
        ],
      },
      "logits[0]",
    ],
    [
      "INPUT_DTYPE",
      "an advantage that is true",
      "ppo",
      { ...CASE, inputs: { ...CASE.inputs, advantages: [1, true, 1] } },
      "advantages[1]",
    ],
    ["INPUT_DTYPE", "an input that is one text", "ppo", { ...CASE, inputs: { ...CASE.inputs, advantages: "1" } }, "advantages"],
    ["TARGET_OUT_OF_RANGE", "a target beyond the vocabulary", "ppo", { ...CASE, target_tokens: [0, 3, 0] }, "target_tokens[1]"],
    ["TARGET_OUT_OF_RANGE", "a target below 0", "ppo", { ...CASE, target_tokens: [0, -1, 0] }, "target_tokens[1]"],
    ["TARGET_OUT_OF_RANGE", "a target beyond int32", "ppo", { ...CASE, target_tokens: [0, 4294967296, 0] }, "target_tokens[1]"],
    ["DEVICE_NOT_FOUND", "an unknown device", "ppo", CASE, "tpu", "--device", "tpu"],
    ["DEVICE_NOT_FOUND", "a GPU that is not there", "ppo", CASE, "", "--device", "cuda:99"],
  ];
  const rows = mistakes.map(([wanted, name, loss, stdin, says, ...args]) => ({ wanted, name, loss, stdin, says, args }));
  test.each(rows)("$wanted: $name", async ({ wanted, loss, stdin, says, args }) => {
    const device = args.includes("--device") ? [] : ["--device", "cpu"];
    const { code, message, exit } = await failure(["eval", loss, ...device, ...args], { stdin });
    expect([code, exit]).toEqual([wanted, 2]);
    expect(message).toContain(says);
  });

  test.each(["cpu", "emulated", "reference"])("NON_FINITE on %s names the first datum and token", async (device) => {
    const stdin = { ...CASE, logits: [...CASE.logits.slice(0, 6), "NaN", 0, 0] };
    const { code, message, exit } = await failure(["eval", "ppo", "--device", device], { stdin });
    expect([code, exit]).toEqual(["NON_FINITE", 2]);
    expect(message).toMatch(/datum 1\b.*token 0\b/);
  });
});

describe("what the machine lacks", () => {
  test("a compiler that fails is COMPILE_FAILED, exit 1, with its log and the text in words", async () => {
    const root = folder({ cxx: "#!/bin/sh\necho 'kernel.cpp:1: error: no room' >&2\nexit 3\n" });
    chmodSync(join(root, "cxx"), 0o755);
    const env = { CXX: join(root, "cxx"), LOSSC_CACHE_DIR: join(root, "cache") };
    const { code, exit, stderr } = await failure(["eval", "ppo", "--device", "cpu"], { stdin: CASE, env });
    expect([code, exit]).toEqual(["COMPILE_FAILED", 1]);
    expect(stderr).toContain("no room");
  });

  test("without a C++ compiler cpu says once that it falls back to reference, emulated is COMPILER_NOT_FOUND", async () => {
    const root = folder({});
    const env = { CXX: undefined, PATH: root, LOSSC_CACHE_DIR: join(root, "cache") };
    const run = await lossc(["eval", "ppo", "--device", "cpu"], { stdin: CASE, env });
    expect(run.code).toBe(0);
    expect((JSON.parse(run.stdout) as EvalResult).device).toBe("reference");
    expect(run.stderr.match(/falls back|reference/g)?.length).toBeGreaterThan(0);
    const { code, exit } = await failure(["eval", "ppo", "--device", "emulated"], { stdin: CASE, env });
    expect([code, exit]).toEqual(["COMPILER_NOT_FOUND", 2]);
  });
});
