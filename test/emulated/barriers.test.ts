/**
 * The emulated device is a judge of barriers: with one taken out of the text results are wrong, in more than one order of the lanes, and with all of
 * them in place every order gives the same bits.
 */
import { describe, expect, test } from "vitest";
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import { label_smoothing, ppo } from "../../losses/index.js";
import { sequencePolicy, spread } from "../codegen/golden-losses.js";
import { expectError } from "../runtime/support.js";
import { batchOf, inputsFor } from "./batch.js";
import { type Mistake, ORDERS, type Order, openMutated } from "./mutations.js";

/** A row of a block's four warps, of the eight of a cluster of two blocks, and one of two lanes. */
const BLOCK = 7003;
const CLUSTER = 16399;
const SHORT = 61;

/** Everything that a call gives, as bits; what it failed with where it failed. */
async function bitsOf(loss: LossDefinition, vocab: number, order: Order, mistake: Mistake | null): Promise<string> {
  const device = await openMutated(order, mistake);
  const batch = batchOf([2, 3], vocab, "f32", loss === sequencePolicy, 7);
  const inputs = inputsFor(loss, batch.inputs());
  try {
    const result = await (await device.compile(loss)).forwardBackward(inputs, {}, { inPlace: true, nonFinite: "propagate" });
    expect(device.launches).toBeGreaterThan(0);
    const words = (array: unknown) => Buffer.from(Float32Array.from(array as ArrayLike<number>).buffer).toString("base64");
    return JSON.stringify([words([result.loss]), words(result.logprobs), words(result.gradLogits)]);
  } catch (error) {
    if (error instanceof LosscError && error.code === "DEVICE_FAULT") return error.message;
    throw error;
  }
}

describe("the text as it is gives the same bits in every order of lanes", () => {
  test.each([
    { loss: ppo, vocab: SHORT },
    { loss: ppo, vocab: BLOCK },
    { loss: ppo, vocab: CLUSTER },
    { loss: label_smoothing, vocab: CLUSTER },
    { loss: spread, vocab: BLOCK },
    { loss: sequencePolicy, vocab: SHORT },
    { loss: sequencePolicy, vocab: CLUSTER },
  ])("$loss.name, V $vocab", async ({ loss, vocab }) => {
    const results = [];
    for (const order of ORDERS) results.push(await bitsOf(loss, vocab, order, null));
    expect(new Set(results).size).toBe(1);
    expect(results[0]).toMatch(/^\["/);
  });
});

const WRITE = "if (lane() == 0) write(all, part(), mine);\n";
const GIVEN = `${WRITE}      self.barrier();\n`;
const FOLDED = "if (lane() % kWarp == 0) write(exchange, lane() / kWarp, acc);\n    self.barrier();\n";

const MISTAKES: readonly {
  readonly name: string;
  readonly mistake: Mistake;
  readonly vocab: number;
  readonly loss?: LossDefinition;
}[] = [
  { name: "no barrier before the parts' values are read", mistake: { from: GIVEN, to: WRITE }, vocab: BLOCK },
  {
    name: "no barrier of the cluster before the parts' values are read",
    mistake: { from: "      self.cluster_arrive();\n      self.cluster_wait();\n", to: "" },
    vocab: CLUSTER,
  },
  {
    name: "one place for all exchanges",
    mistake: { from: "turn % kExchanges * (kExchange / kExchanges)", to: "0" },
    vocab: BLOCK,
    loss: label_smoothing,
  },
  {
    name: "values are given to the own block alone",
    mistake: {
      from: "self.write_remote(&all[part()].v[i], lane(), mine.v[i])",
      to: "self.write_remote(&all[part()].v[i], self.rank(), mine.v[i])",
    },
    vocab: CLUSTER,
  },
  {
    name: "nobody waits for the copies of the row",
    mistake: {
      from: "sizeof...(Others) == 0;\n  if (Team::kResident) team.self.copies_done();\n",
      to: "sizeof...(Others) == 0;\n",
    },
    vocab: BLOCK,
  },
  {
    name: "no barrier before the exchange of a block is read",
    mistake: { from: FOLDED, to: FOLDED.replace(/ {4}self.barrier.*\n$/, "") },
    vocab: BLOCK,
  },
  {
    name: "no shuffle: every lane keeps what it has",
    mistake: {
      from: "words.v[i] = self.shuffle<LANES>(words.v[i], int(unsigned(self.thread()) % kWarp) ^ mask);",
      to: "words.v[i] = words.v[i];",
    },
    vocab: SHORT,
  },
  {
    name: "a shuffle with the wrong lane",
    mistake: { from: "int(unsigned(self.thread()) % kWarp) ^ mask)", to: "(self.thread() % kWarp) & ~mask)" },
    vocab: SHORT,
  },
  {
    name: "one round of shuffles too few",
    mistake: { from: "for (int mask = LANES / 2;", to: "for (int mask = LANES / 4;" },
    vocab: SHORT,
  },
];

test.each(MISTAKES)("$name: seen in more than one order", async ({ mistake, vocab, loss = ppo }) => {
  const right = await bitsOf(loss, vocab, "forward", null);
  const wrong: Order[] = [];
  for (const order of ORDERS) if ((await bitsOf(loss, vocab, order, mistake)) !== right) wrong.push(order);
  expect(wrong.length, `wrong in the orders ${wrong.join(", ")}`).toBeGreaterThanOrEqual(2);
});

test("shared memory that nobody has written is poison, and reaches the result", async () => {
  // Forward, the first warp reads before the others have written, and it is the one that reports.
  const device = await openMutated("forward", { from: GIVEN, to: WRITE });
  const compiled = await device.compile<LossDefinition>(ppo);
  const inputs = inputsFor(ppo, batchOf([5], BLOCK, "f32", false).inputs());
  const { logprobs } = await compiled.forwardBackward(inputs, {}, { nonFinite: "propagate" });
  expect([...(logprobs as Float32Array)].every(Number.isNaN)).toBe(true);
  await expectError("NON_FINITE", () => compiled.forwardBackward(inputs), "datum 0, token 0");
});

test("a barrier that only some lanes reach is a fault that says so", async () => {
  const device = await openMutated("forward", { from: GIVEN, to: `${WRITE}      if (self.thread() < 100) self.barrier();\n` });
  const compiled = await device.compile<LossDefinition>(ppo);
  const inputs = inputsFor(ppo, batchOf([5], BLOCK, "f32", false).inputs());
  const message = /thread \d+ of block 0 waits at a .* that thread \d+ never reaches/;
  expect((await expectError("DEVICE_FAULT", () => compiled.forwardBackward(inputs))).message).toMatch(message);
});
