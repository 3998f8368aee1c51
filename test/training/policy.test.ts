/** Policies that are not what the client takes them for. */
import { describe, expect, test } from "vitest";
import { defineLoss, mul, TrainingClient } from "../../index.js";
import { expectError, openOnly } from "../runtime/support.js";
import { data, eachTrainingDevice, everyBit, TablePolicy } from "./support.js";

eachTrainingDevice((open) => {
  test.each<[string, unknown, readonly string[]]>([
    ["nothing", undefined, ["undefined"]],
    ["null", null, ["null"]],
    ["a number", 5, ["5"]],
    ["an array alone", new Float32Array(10), ["a Float32Array", "without logits"]],
    ["other names", { logit: new Float32Array(10) }, ["without logits or hidden"]],
    ["hidden states without a head", { hidden: new Float32Array(10) }, ["hidden but no head"]],
  ])("a policy whose forward gives %s: INPUT_MISSING, and not a bit changes", async (_, given, said) => {
    const device = await open();
    const policy = await TablePolicy.create(device);
    const client = new TrainingClient({ policy, device });
    await client.forwardBackward(data(), "ppo");
    const before = await everyBit(policy);
    const forward = policy.forward.bind(policy);
    policy.forward = async () => given as never;
    for (const call of ["forward", "forwardBackward"] as const)
      await expectError(
        "INPUT_MISSING",
        () => client[call](data(), "ppo"),
        "forward() of the policy",
        "{ logits }",
        "{ hidden, head }",
        ...said,
      );
    expect(await everyBit(policy)).toBe(before);
    policy.forward = forward;
    await client.forwardBackward(data(), "ppo");
    expect(await everyBit(policy)).not.toBe(before);
  });
});

describe("reference", () => {
  test("says what a client or a policy lacks, before anything runs", async () => {
    const device = await openOnly("reference");
    await expectError("USAGE", () => new TrainingClient(undefined as never), "policy", "undefined", "{ policy, device }");
    await expectError("USAGE", () => new TrainingClient({ policy: {} } as never), "device", "undefined");
    const forward = () => {
      throw new Error("was run");
    };
    const client = new TrainingClient({ policy: { forward } as never, device });
    const datum = { modelInput: [7], lossFnInputs: { target_tokens: [1] } };
    await expectError("USAGE", () => client.forwardBackward([datum], "cross_entropy"), "backward()");
    await expectError("USAGE", () => client.optimStep(), "optimStep()");
    await expectError("USAGE", () => client.saveState("state"), "state()");
    await expectError("USAGE", () => client.loadState("state"), "load()");
  });

  test("inputs may be called as what every object has, and are missing where no datum has them", async () => {
    const device = await openOnly("reference");
    const policy = { forward: async () => ({ logits: new Float32Array(2) }) } as never;
    const client = new TrainingClient({ policy, device });
    for (const name of ["constructor", "toString"]) {
      const loss = defineLoss({
        name: "odd",
        inputs: { [name]: "token" },
        loss: (own, given) => mul(own.logprobs, given[name] as number),
      });
      const datum = (entries: object) => [{ modelInput: [7], lossFnInputs: { target_tokens: [1], ...entries } }];
      const given = datum({ [name]: [3] });
      expect((await client.forward(given as never, loss)).loss).toBeCloseTo(-3 * Math.log(2), 6);
      await expectError("INPUT_MISSING", () => client.forward(datum({}) as never, loss), name);
    }
  });
});
