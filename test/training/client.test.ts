import { describe, expect, test } from "vitest";
import {
  add,
  atTarget,
  type Datum,
  type Device,
  defineLoss,
  type LossDefinition,
  mean,
  mul,
  neg,
  square,
  TrainingClient,
} from "../../index.js";
import { ppo } from "../../losses/index.js";
import type { DeviceOptions } from "../../runtime/devices/device.js";
import type { BareLoss } from "../../runtime/training/index.js";
import { expectClose, expectError } from "../runtime/support.js";
import { data, eachTrainingDevice, everyBit, TablePolicy, targetsOnly, VOCAB } from "./support.js";

async function open(openDevice: (options?: DeviceOptions) => Promise<Device>) {
  const device = await openDevice();
  const policy = await TablePolicy.create(device);
  return { device, policy, client: new TrainingClient({ policy, device }) };
}

/** log p of each target under the table. */
function expectedLogprobs(weights: Float32Array, { modelInput, lossFnInputs }: Datum): number[] {
  return Array.from(modelInput, (token, t) => {
    const row = weights.subarray(token * VOCAB, (token + 1) * VOCAB);
    const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
    return (row[lossFnInputs.target_tokens[t] as number] as number) - Math.log(total);
  });
}

const rich = defineLoss({
  name: "with outputs",
  inputs: { reward: "sequence" },
  config: { scale: 2, switch: "on" },
  loss(policy, inputs, config) {
    const perSequence = mul(mean(policy.logprobs, "tokens"), inputs.reward);
    return {
      loss: config.switch === "on" ? mul(perSequence, config.scale) : perSequence,
      metrics: { squared: mean(square(policy.logprobs)) },
      outputs: { squares: square(policy.logprobs), perSequence },
    };
  },
});

eachTrainingDevice((openDevice) => {
  describe("results", () => {
    test("loss, metrics, and logprobs as long as the targets of each datum", async () => {
      const { client, policy } = await open(openDevice);
      const weights = (await policy.state()).tensors["weights/table"]?.data as Float32Array;
      const result = await client.forwardBackward(targetsOnly(), "cross_entropy");
      const expected = targetsOnly().map((datum) => expectedLogprobs(weights, datum));
      result.lossFnOutputs.forEach(({ logprobs }, i) => {
        expect(logprobs).toBeInstanceOf(Float32Array);
        expectClose(logprobs, expected[i] as number[]);
      });
      expect(result.lossFnOutputs).toHaveLength(2);
      expect(result.loss).toBeCloseTo(-expected.flat().reduce((a, b) => a + b, 0), 5);
      expect(result.metrics["loss:sum"]).toBe(result.loss);
    });

    test("outputs of the loss are cut into those of each datum; config and static config reach the loss", async () => {
      const { client } = await open(openDevice);
      const given = targetsOnly().map((datum, i) => ({ ...datum, lossFnInputs: { ...datum.lossFnInputs, reward: i + 1 } }));
      const on = await client.forwardBackwardCustom(given, rich);
      const scaled = await client.forwardBackward(given, rich, { scale: 5 });
      const off = await client.forwardBackward(given, rich, { switch: "off" });
      expect(on.loss).toBeCloseTo(2 * off.loss, 5);
      expect(scaled.loss).toBeCloseTo(5 * off.loss, 5);
      on.lossFnOutputs.forEach((output, i) => {
        const { logprobs } = output;
        expectClose(
          output.squares as Float32Array,
          Array.from(logprobs, (x) => x * x),
        );
        expect(output.perSequence).toBeCloseTo(((i + 1) * logprobs.reduce((a, b) => a + b)) / logprobs.length, 5);
      });
      expect(Object.keys(on.metrics).sort()).toEqual(["loss:sum", "squared"]);
      expect((await client.forward(given, rich, {}, { metrics: [] })).metrics).toEqual({ "loss:sum": on.loss });
      expect((await client.forward(given, rich, {}, { metrics: ["squared"] })).metrics).toEqual(on.metrics);
    });

    test("no data, and a datum without tokens", async () => {
      const { client, policy } = await open(openDevice);
      const before = await everyBit(policy);
      expect(await client.forwardBackward([], "cross_entropy")).toMatchObject({ loss: 0, lossFnOutputs: [] });
      for (const loss of ["ppo", "dpo", "gspo", "kto"])
        expect(await client.forwardBackward([], loss), loss).toMatchObject({ loss: 0, lossFnOutputs: [] });
      expect((await client.forwardBackwardCustom([], (own) => neg(own.logprobs))).loss).toBe(0);
      const none: Datum = { modelInput: [], lossFnInputs: { target_tokens: [] } };
      expect((await client.forwardBackward([none], "cross_entropy")).lossFnOutputs[0]?.logprobs).toHaveLength(0);
      expect(await everyBit(policy)).toBe(before);
      const [first] = targetsOnly() as [Datum];
      const mixed = await client.forwardBackward([none, first, none], "cross_entropy");
      expect(mixed.lossFnOutputs.map(({ logprobs }) => logprobs.length)).toEqual([0, 3, 0]);
    });

    test("class weights, which every datum brings alike, weigh the tokens of all data", async () => {
      const { client } = await open(openDevice);
      const classWeighted = defineLoss({
        name: "class weighted",
        inputs: { class_weights: "entry" },
        loss: ({ logprobs }, { class_weights }) => neg(mul(atTarget(class_weights), logprobs)),
      });
      const classes = Array.from({ length: VOCAB }, (_, v) => v / 2);
      const given = (of: (datum: number) => number[]) =>
        targetsOnly().map(({ modelInput, lossFnInputs: { target_tokens } }, i) => ({
          modelInput,
          lossFnInputs: { target_tokens, class_weights: of(i) },
        }));
      const { lossFnOutputs } = await client.forward(targetsOnly());
      const expected = targetsOnly().flatMap(({ lossFnInputs: { target_tokens } }, i) =>
        Array.from(target_tokens, (v, t) => -(classes[v] as number) * (lossFnOutputs[i]?.logprobs[t] as number)),
      );
      const { loss } = await client.forwardBackward(
        given(() => [...classes]),
        classWeighted,
      );
      expect(loss).toBeCloseTo(
        expected.reduce((a, b) => a + b, 0),
        4,
      );
      const other = given((i) => classes.map((w) => w + i));
      await expectError("INPUT_LENGTH", () => client.forwardBackward(other, classWeighted), "data[1]", "class_weights");
      const short = given(() => [1, 2]);
      await expectError("INPUT_LENGTH", () => client.forwardBackward(short, classWeighted), "class_weights", `${VOCAB}`);
      expect((await client.forwardBackward([], classWeighted)).loss).toBe(0);
    });

    test("weights scale tokens; those of weight 0 are not looked at with skipMasked", async () => {
      const { client } = await open(openDevice);
      const weighted = targetsOnly().map(({ modelInput, lossFnInputs: { target_tokens } }) => ({
        modelInput,
        lossFnInputs: { target_tokens, weights: Array.from(target_tokens, (_, t) => (t === 0 ? 0 : 0.5)) },
      }));
      const plain = await client.forward(targetsOnly());
      const masked = await client.forwardBackward(weighted, "cross_entropy", {}, { skipMasked: true });
      const kept = plain.lossFnOutputs.map(({ logprobs }) => Array.from(logprobs, (x, t) => (t === 0 ? 0 : x)));
      masked.lossFnOutputs.forEach(({ logprobs }, i) => void expectClose(logprobs, kept[i] as number[], 0));
      expect(masked.loss).toBeCloseTo(-0.5 * kept.flat().reduce((a, b) => a + b, 0), 5);
    });

    test("takes of what a policy yields only what the loss asks for", async () => {
      const { client, policy, device } = await open(openDevice);
      const expected = (await client.forward(data(), "ppo")).loss;
      const talkative = Object.create(policy) as typeof policy;
      talkative.forward = async (...given) => ({ ...(await policy.forward(...given)), advantages: [1], cache: null });
      const other = new TrainingClient({ policy: talkative, device });
      expect((await other.forward(data(), "ppo")).loss).toBe(expected);
    });

    test("forward gathers nothing", async () => {
      const { client, policy } = await open(openDevice);
      const before = await everyBit(policy);
      const { loss } = await client.forward(data(), "ppo");
      expect(await everyBit(policy)).toBe(before);
      expect((await client.forwardBackward(data(), "ppo")).loss).toBe(loss);
      expect(await everyBit(policy)).not.toBe(before);
    });
  });

  describe("calls", () => {
    test("run in the order in which they were made", async () => {
      const { client, policy } = await open(openDevice);
      const submitted = [
        client.forwardBackward(targetsOnly(), "cross_entropy"),
        client.optimStep({ learningRate: 0.1 }),
        client.forwardBackwardCustom(data(), ppo),
        client.forward(targetsOnly()),
        client.optimStep({ learningRate: 0.1 }),
      ];
      await Promise.all(submitted);
      expect(policy.calls.join(" ")).toBe("forward backward optimStep forward backward forward optimStep");

      const one = await open(openDevice);
      await one.client.forwardBackward(targetsOnly(), "cross_entropy");
      await one.client.optimStep({ learningRate: 0.1 });
      await one.client.forwardBackwardCustom(data(), ppo);
      await one.client.optimStep({ learningRate: 0.1 });
      expect(await everyBit(policy)).toBe(await everyBit(one.policy));
    });

    test("read their data when they are made", async () => {
      const { client } = await open(openDevice);
      const expected = await client.forward(targetsOnly());
      const changing = targetsOnly();
      const result = client.forward(changing);
      (changing[0]?.lossFnInputs.target_tokens as number[])[0] = 0;
      (changing[0]?.modelInput as number[])[1] = 0;
      expect((await result).loss).toBe(expected.loss);
    });

    test("that fail do not stop the next", async () => {
      const { client, policy } = await open(openDevice);
      const failing = expectError("LOSS_UNKNOWN", () => client.forwardBackward(data(), "p_p_o"), "p_p_o");
      const outside = [{ modelInput: [0], lossFnInputs: { target_tokens: [VOCAB] } }];
      const later = expectError("TARGET_OUT_OF_RANGE", () => client.forwardBackward(outside, "cross_entropy"));
      const good = client.forwardBackward(data(), "ppo");
      const last = client.optimStep();
      await Promise.all([failing, later, good, last]);
      expect((await policy.state()).step).toBe(1);
    });

    test("gather: two calls are one with the data of both", async () => {
      const [apart, together] = [await open(openDevice), await open(openDevice)];
      for (const datum of data()) await apart.client.forwardBackward([datum], "ppo");
      await together.client.forwardBackward(data(), "ppo");
      const [a, b] = [(await apart.policy.parameters.gradients()).table, (await together.policy.parameters.gradients()).table];
      expect(Math.max(...b.data.map(Math.abs))).toBeGreaterThan(0.1);
      expectClose(a.data, b.data);
    });
  });

  describe("losses of one's own", () => {
    test("a copy of ppo, as a definition and as a bare function, gives the bits of the built-in", async () => {
      const own = defineLoss({
        name: "my own",
        inputs: ppo.inputs,
        config: { clip_low_threshold: 0.8, clip_high_threshold: 1.2 },
        loss: ppo.loss,
      });
      const bare: BareLoss = (policy, inputs) =>
        ppo.loss(policy, inputs as never, { clip_low_threshold: 0.8, clip_high_threshold: 1.2 } as never);
      const bits = [];
      for (const loss of [ppo, own, bare] as (LossDefinition | BareLoss)[]) {
        const { client, policy } = await open(openDevice);
        const result = await client.forwardBackwardCustom(data(), loss);
        bits.push({ result, gathered: await everyBit(policy) });
      }
      expect(bits[1]).toEqual(bits[0]);
      expect(bits[2]).toEqual(bits[0]);
      const { client } = await open(openDevice);
      expect(await client.forwardBackward(data(), "ppo")).toEqual(bits[0]?.result);
    });

    test("a bare function has every key of the data: arrays per token, numbers per sequence", async () => {
      const { client } = await open(openDevice);
      const given = targetsOnly().map(({ modelInput, lossFnInputs: { target_tokens } }, i) => ({
        modelInput,
        lossFnInputs: {
          target_tokens,
          scale: i + 1,
          shift: Float32Array.from(target_tokens, (_, t) => t),
          weights: Array.from(target_tokens, () => 0.5),
        },
      }));
      const loss: BareLoss = (policy, inputs) => add(mul(policy.logprobs, inputs.scale as number), inputs.shift as number);
      const result = await client.forwardBackwardCustom(given, loss);
      const expected = result.lossFnOutputs.flatMap(({ logprobs }, i) => Array.from(logprobs, (x, t) => 0.5 * ((i + 1) * x + t)));
      expect(result.loss).toBeCloseTo(
        expected.reduce((a, b) => a + b, 0),
        5,
      );
      // Targets name entries: as numbers they mean nothing.
      const targets = client.forwardBackwardCustom(given, (policy, own) => mul(policy.logprobs, own.target_tokens as number));
      await expect(targets).rejects.toMatchObject({ code: "INPUT_UNKNOWN", message: expect.stringContaining("atTarget(x)") });
      // The same function again, with other keys: another loss.
      const other = data().map((datum) => ({ ...datum, lossFnInputs: { ...datum.lossFnInputs, scale: 1, shift: 0 } }));
      expect((await client.forwardBackwardCustom(other, loss)).loss).not.toBe(result.loss);
    });
  });
});
