/** Every mistake that a caller of the training client can make: its code, what its message names, and that it changes not one bit. */
import { describe, expect, test } from "vitest";
import {
  type Datum,
  defineLoss,
  type ErrorCode,
  log,
  mean,
  mul,
  neg,
  sum,
  TrainingClient,
  type TrainingResult,
} from "../../index.js";
import { type BareLoss, ParameterSet, type TrainingOptions } from "../../runtime/training/index.js";
import { expectError, openOnly } from "../runtime/support.js";
import { data, eachTrainingDevice, everyBit, TablePolicy, targetsOnly } from "./support.js";

interface Mistake {
  readonly name: string;
  readonly code: ErrorCode;
  readonly said: readonly string[];
  readonly call: (client: TrainingClient) => Promise<unknown>;
}

/** The data, with parts of the second replaced; undefined takes them away. */
function changed(lossFnInputs: { readonly [key: string]: unknown }, datum: object = {}): Datum[] {
  const [first, second] = data() as [Datum, Datum];
  return [first, { ...second, lossFnInputs: { ...second.lossFnInputs, ...lossFnInputs }, ...datum } as Datum];
}

function mistake(name: string, code: ErrorCode, said: readonly string[], call: Mistake["call"]): Mistake {
  return { name, code, said, call };
}

/** The list with a hole in place of its second entry. */
function holed<T>(list: T[]): T[] {
  delete list[1];
  return list;
}

/** `ppo` on bad data. */
function bad(
  name: string,
  code: ErrorCode,
  said: readonly string[],
  given: readonly Datum[],
  options?: TrainingOptions,
): Mistake {
  return mistake(name, code, said, (client) => client.forwardBackward(given, "ppo", {}, options));
}

const custom =
  (loss: unknown, given = data()) =>
  (client: TrainingClient): Promise<TrainingResult> =>
    client.forwardBackwardCustom(given, loss as BareLoss);

const MISTAKES: readonly Mistake[] = [
  mistake("no data", "INPUT_DTYPE", ["data"], (client) => client.forwardBackward(undefined as never, "ppo")),
  bad("a hole in the data", "INPUT_MISSING", ["data[1]", "undefined", "modelInput"], holed(data())),
  bad("null in the data", "INPUT_MISSING", ["data[2]", "null"], [...data(), null as never]),
  bad("a number in the data", "INPUT_MISSING", ["data[0]", "5"], [5 as never, ...data()]),
  mistake("a hole in the data of a bare function", "INPUT_MISSING", ["data[1]", "undefined"], (client) =>
    client.forwardBackwardCustom(holed(data()), (policy) => neg(policy.logprobs)),
  ),
  bad("a hole in modelInput", "INPUT_DTYPE", ["data[1].modelInput[1]", "undefined"], changed({}, { modelInput: holed([0, 1]) })),
  bad("a hole in the targets", "INPUT_DTYPE", ["target_tokens[1]", "undefined"], changed({ target_tokens: holed([0, 1]) })),
  bad("a hole in an input", "INPUT_DTYPE", ["advantages[1]", "undefined"], changed({ advantages: holed([1, 1]) })),
  bad("null for an input", "INPUT_DTYPE", ["advantages"], changed({ advantages: null })),
  bad("no modelInput", "INPUT_MISSING", ["data[1]", "modelInput"], changed({}, { modelInput: undefined })),
  bad("modelInput is no array", "INPUT_DTYPE", ["data[1].modelInput"], changed({}, { modelInput: "ab" })),
  bad("modelInput holds a fraction", "INPUT_DTYPE", ["data[1].modelInput[0]", "0.5"], changed({}, { modelInput: [0.5, 1] })),
  bad("no lossFnInputs", "INPUT_MISSING", ["data[1]", "lossFnInputs"], changed({}, { lossFnInputs: undefined })),
  bad("no targets", "INPUT_MISSING", ["data[1]", "target_tokens"], changed({ target_tokens: undefined })),
  bad("a target too few", "INPUT_LENGTH", ["data[1]", "target_tokens", "1", "2"], changed({ target_tokens: [0] })),
  bad("a target is text", "INPUT_DTYPE", ["data[1].lossFnInputs.target_tokens[1]", '"1"'], changed({ target_tokens: [0, "1"] })),
  bad("a target is NaN", "INPUT_DTYPE", ["target_tokens[0]", "NaN"], changed({ target_tokens: [Number.NaN, 1] })),
  bad("a target beyond the vocabulary", "TARGET_OUT_OF_RANGE", ["5"], changed({ target_tokens: [0, 5] })),
  bad(
    "a token that the policy has no row for",
    "TARGET_OUT_OF_RANGE",
    ["tokens[4]"],
    data().map((datum, i) => (i === 1 ? { ...datum, modelInput: [4, 1_000_000_000] } : datum)),
  ),
  bad("a target beyond int32", "TARGET_OUT_OF_RANGE", ["4294967296"], changed({ target_tokens: [0, 2 ** 32] })),
  bad("an input is missing in one datum", "INPUT_MISSING", ["data[1]", "logprobs"], changed({ logprobs: undefined })),
  bad("an input is too short", "INPUT_LENGTH", ["data[1]", "advantages", "1", "2"], changed({ advantages: [1] })),
  bad("an input per token is a number", "INPUT_DTYPE", ["data[1]", "advantages"], changed({ advantages: 1 })),
  bad("an input holds null", "INPUT_DTYPE", ["advantages[1]", "null"], changed({ advantages: [1, null] })),
  bad("weights are too long", "INPUT_LENGTH", ["data[1]", "weights"], changed({ weights: [1, 1, 1] })),
  bad("an input that the loss does not know", "INPUT_UNKNOWN", ["data[1]", "advantage"], changed({ advantage: [1, 1] })),
  bad("a loss that is not finite", "NON_FINITE", [], changed({ advantages: [1, Number.NaN] })),
  bad("groups that do not sum up", "INPUT_LENGTH", ["groups"], data(), { groups: [3] }),
  bad("groups that are no list", "INPUT_DTYPE", ["groups"], data(), { groups: 2 as never }),
  bad("groups below 1", "INPUT_LENGTH", ["groups[0]", "-1"], data(), { groups: [-1, 3] }),
  bad("a signal that is none", "USAGE", ["signal"], data(), { signal: {} as never }),
  bad("groups with a hole", "INPUT_LENGTH", ["groups[1]", "undefined"], data(), { groups: holed([1, 1]) }),
  bad("metrics with a hole", "USAGE", ["metrics", "[1]", "undefined"], data(), { metrics: holed(["kl", "kl"]) }),
  bad("metrics with null", "USAGE", ["metrics", "[0]", "null"], data(), { metrics: [null as never, "kl"] }),
  bad("metrics that are no list", "USAGE", ["metrics"], data(), { metrics: "kl" as never }),
  bad("a metric that the loss does not have", "USAGE", ["kll"], data(), { metrics: ["kll"] }),
  mistake("config that is null", "CONFIG_INVALID", ["ppo", "null"], (client) =>
    client.forwardBackward(data(), "ppo", null as never),
  ),
  mistake("config that is a number", "CONFIG_INVALID", ["ppo", "5"], (client) =>
    client.forwardBackward(data(), "ppo", 5 as never),
  ),
  mistake("misspelt config", "CONFIG_UNKNOWN", ["clip"], (client) => client.forwardBackward(data(), "ppo", { clip: 1 })),
  mistake("Adam that is no object", "CONFIG_INVALID", ["5"], (client) => client.optimStep(5 as never)),
  mistake("Adam with a name of every object's", "CONFIG_UNKNOWN", ["toString"], (client) =>
    client.optimStep({ toString: 1 } as never),
  ),
  mistake("a state without a path", "USAGE", ["path", "undefined"], (client) => client.saveState(undefined as never)),
  mistake("rows of another width than those before", "INPUT_LENGTH", ["data[1]", "teacher", "9"], (client) => {
    const rows = (i: number) => new Float32Array((data()[i] as Datum).modelInput.length * 5 - i);
    const teacher = defineLoss({
      name: "teacher",
      inputs: { teacher: "vocab" },
      loss: (policy, inputs) => mul(policy.logprobs, sum(inputs.teacher, "vocab")),
    });
    const given = data().map(({ modelInput, lossFnInputs: { target_tokens } }, i) => ({
      modelInput,
      lossFnInputs: { target_tokens, teacher: rows(i) },
    }));
    return client.forwardBackward(given as never, teacher);
  }),
  mistake("an unknown loss", "LOSS_UNKNOWN", ["pppo", "ppo"], (client) => client.forwardBackward(data(), "pppo")),
  mistake("no loss", "LOSS_UNKNOWN", [], (client) => client.forwardBackward(data(), undefined as never)),
  mistake("an unknown key of config", "CONFIG_UNKNOWN", ["clip"], (client) => client.forwardBackward(data(), "ppo", { clip: 1 })),
  mistake("an unknown metric", "USAGE", ["clipped"], (client) =>
    client.forwardBackward(data(), "ppo", {}, { metrics: ["clipped"] }),
  ),
  mistake("a config that is no number", "CONFIG_INVALID", ["clip_low_threshold"], (client) =>
    client.forwardBackward(data(), "ppo", { clip_low_threshold: Number.NaN }),
  ),
  mistake("a custom loss that is none", "LOSS_UNKNOWN", [], custom("ppo")),
  mistake(
    "a custom loss that reads what the data lack",
    "INPUT_UNKNOWN",
    ["rewards"],
    custom(((policy, inputs) => mul(policy.logprobs, inputs.rewards as number)) satisfies BareLoss),
  ),
  mistake(
    "a bare function and data with other keys",
    "INPUT_MISSING",
    ["data[0]", "extra"],
    custom((policy: { logprobs: number }) => neg(policy.logprobs), changed({ extra: [1, 2] })),
  ),
  mistake(
    "a bare function and data of two kinds",
    "INPUT_DTYPE",
    ["data[1]", "advantages"],
    custom((policy: { logprobs: number }) => neg(policy.logprobs), changed({ advantages: 1 })),
  ),
  mistake(
    "a custom loss that computes with operators",
    "OPERATOR_ON_EXPR",
    [],
    custom((policy: { logprobs: number }) => policy.logprobs * 2),
  ),
  mistake(
    "a custom loss of a wrong space",
    "SPACE_MISMATCH",
    [],
    custom((policy: { logprobs: number }) => mean(policy.logprobs, "sequences")),
  ),
  mistake(
    "a custom loss that is not finite",
    "NON_FINITE",
    [],
    custom(defineLoss({ name: "log of logprobs", loss: (policy) => log(policy.logprobs) }), targetsOnly()),
  ),
  mistake("an option that there is not", "USAGE", ["forwardBackward", "skipmasked", "skipMasked"], (client) =>
    client.forwardBackward(data(), "ppo", {}, { skipmasked: true } as TrainingOptions),
  ),
  mistake("options that are none", "USAGE", ["null", "skipMasked"], (client) =>
    client.forwardBackward(data(), "ppo", {}, null as never),
  ),
  mistake("a signal that has fired", "ABORTED", [], (client) =>
    client.forwardBackward(data(), "ppo", {}, { signal: AbortSignal.abort() }),
  ),
  mistake("a step with an unknown key", "CONFIG_UNKNOWN", ["lr", "learningRate"], (client) =>
    client.optimStep({ lr: 1 } as never),
  ),
  mistake("a step with a rate that is no number", "CONFIG_INVALID", ["learningRate"], (client) =>
    client.optimStep({ learningRate: Number.NaN }),
  ),
  mistake(
    "a step with another way for what is not finite",
    "CONFIG_INVALID",
    ["nonFinite", '"ignore"', '"propagate"'],
    (client) => client.optimStep({ nonFinite: "ignore" as never }),
  ),
  mistake("a step with a decay of 1", "CONFIG_INVALID", ["beta2"], (client) => client.optimStep({ beta2: 1 })),
];

eachTrainingDevice((open) => {
  test.each(MISTAKES)("$name: $code, and not a bit changes", async ({ code, said, call }) => {
    const device = await open();
    const policy = await TablePolicy.create(device);
    const client = new TrainingClient({ policy, device });
    await client.forwardBackward(data(), "ppo");
    await client.optimStep();
    const { loss } = await client.forwardBackward(data(), "ppo");
    const before = await everyBit(policy);
    await expectError(code, () => call(client), ...said);
    expect(await everyBit(policy)).toBe(before);
    expect((await client.forward(data(), "ppo")).loss).toBe(loss);
    await client.optimStep();
    expect(await everyBit(policy)).not.toBe(before);
  });

  test("a call that is ended while the policy runs leaves what has gathered", async () => {
    const device = await open();
    const policy = await TablePolicy.create(device);
    const client = new TrainingClient({ policy, device });
    await client.forwardBackward(data(), "ppo");
    const before = await everyBit(policy);
    const controller = new AbortController();
    const forward = policy.forward.bind(policy);
    policy.forward = (...args) => {
      controller.abort();
      return forward(...args);
    };
    const ended = client.forwardBackward(data(), "ppo", {}, { signal: controller.signal });
    const next = client.forward(data(), "ppo");
    await expectError("ABORTED", () => ended);
    await next;
    expect(await everyBit(policy)).toBe(before);
  });

  test("nonFinite: propagate hands the numbers back", async () => {
    const device = await open();
    const client = new TrainingClient({ policy: await TablePolicy.create(device), device });
    const given = changed({ advantages: [1, Number.NaN] });
    expect((await client.forwardBackward(given, "ppo", {}, { nonFinite: "propagate" })).loss).toBeNaN();
  });
});

describe("reference", () => {
  test("a policy that ends itself by the signal is ABORTED, one that fails says how", async () => {
    const device = await openOnly("reference");
    const ended = new AbortController();
    const forward = async (_: unknown, { signal }: { signal?: AbortSignal }): Promise<never> => {
      ended.abort();
      signal?.throwIfAborted();
      throw new Error("out of cheese");
    };
    const client = new TrainingClient({ policy: { forward } as never, device });
    await expectError("ABORTED", () => client.forward(data(), "ppo", {}, { signal: ended.signal }));
    await expect(client.forward(data(), "ppo")).rejects.toThrow("out of cheese");
  });

  test("names the first token that is not finite", async () => {
    const device = await openOnly("reference");
    const loss = defineLoss({
      name: "both",
      inputs: { a: "token", s: "sequence" },
      loss: (policy, { a, s }) => [mul(policy.logprobs, a), mul(sum(policy.logprobs, "tokens"), s)] as never,
    });
    const inputs = {
      lengths: [2, 1],
      logits: new Float32Array(6),
      target_tokens: [0, 1, 0],
      a: [1, Number.NaN, 1],
      s: [1, Number.NaN],
    };
    const compiled = await device.compile(loss);
    await expectError("NON_FINITE", () => compiled.forwardBackward(inputs), "datum 0, token 1");
  });

  test("offers no building blocks for policies, and says what is missing", async () => {
    const device = await openOnly("reference");
    const initial = { table: { shape: [1], data: new Float32Array(1) } };
    await expectError("DEVICE_NOT_FOUND", () => ParameterSet.create(device, initial), "addon");
  });

  test("trains a policy that needs none", async () => {
    const device = await openOnly("reference");
    const gathered: number[] = [];
    const policy = {
      forward: async ({ tokens }: { tokens: Int32Array }) => ({ logits: new Float32Array(2 * tokens.length) }),
      backward: async (gradient: unknown) => {
        gathered.push(...(gradient as Iterable<number>));
      },
      optimStep: async () => undefined,
      state: async () => ({ step: 0, tensors: {} }),
      load: async () => undefined,
    };
    const client = new TrainingClient({ policy, device });
    const result = await client.forwardBackward([{ modelInput: [7], lossFnInputs: { target_tokens: [1] } }], "cross_entropy");
    expect(result.loss).toBeCloseTo(Math.log(2), 6);
    expect(result.lossFnOutputs[0]?.logprobs).toEqual(Float32Array.of(-Math.log(2)));
    expect(gathered).toEqual([0.5, -0.5]);
    const scaled = await client.forwardBackwardCustom(
      [{ modelInput: [7], lossFnInputs: { target_tokens: [1], scale: 3 } }],
      (own, inputs) => mul(own.logprobs, inputs.scale as number),
    );
    expect(scaled.loss).toBeCloseTo(-3 * Math.log(2), 6);
  });
});
