/**
 * The emulated device is a judge of barriers: with one taken out of the text results are wrong, in more than one order of the lanes, and with all of
 * them in place every order gives the same bits.
 */
import { describe, expect, test } from "vitest";
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";
import { sequencePolicy, spread } from "../codegen/golden-losses.js";
import { expectError } from "../runtime/support.js";
import { batchOf, inputsFor } from "./batch.js";
import { type Mistake, ORDERS, type Order, openPlanted } from "./planted.js";

/** A row of eight warps, of sixteen, and one of a single warp. */
const BLOCK = 1031;
const LARGE_BLOCK = 16399;
const WARP = 61;

/** Everything that a call gives, as bits; what it failed with where it failed. */
async function bitsOf(loss: LossDefinition, vocab: number, order: Order, mistake: Mistake | null): Promise<string> {
  const device = await openPlanted(order, mistake);
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
    { loss: ppo, vocab: WARP },
    { loss: ppo, vocab: BLOCK },
    { loss: ppo, vocab: LARGE_BLOCK },
    { loss: spread, vocab: BLOCK },
    { loss: sequencePolicy, vocab: WARP },
    { loss: sequencePolicy, vocab: BLOCK },
  ])("$loss.name, V $vocab", async ({ loss, vocab }) => {
    const results = [];
    for (const order of ORDERS) results.push(await bitsOf(loss, vocab, order, null));
    expect(new Set(results).size).toBe(1);
    expect(results[0]).toMatch(/^\["/);
  });
});

const WRITE = "if (lane() % 32 == 0) write(exchange, lane() / 32, acc);\n";
const BEFORE = `${WRITE}      self.barrier();\n`;
const AFTER = "      self.barrier();  // the exchange is free again\n";
/** The barrier stays in the folds that lanes agree by: without it there they part ways, and the device faults before it gives a wrong number. */
const elsewhere = "      if (__is_same(V, Values<1, unsigned>)) self.barrier();\n";

const MISTAKES: readonly {
  readonly name: string;
  readonly mistake: Mistake;
  readonly vocab: number;
  /** Whether all that it does is to make numbers wrong. */
  readonly numbers: boolean;
}[] = [
  { name: "no barrier before the exchange is read", mistake: { from: BEFORE, to: WRITE }, vocab: BLOCK, numbers: false },
  { name: "no barrier after the exchange is read", mistake: { from: AFTER, to: "" }, vocab: BLOCK, numbers: false },
  {
    name: "no barrier before the exchange of a row's fold is read",
    mistake: { from: BEFORE, to: `${WRITE}${elsewhere}` },
    vocab: BLOCK,
    numbers: true,
  },
  {
    name: "no barrier before the exchange of a row's fold is read, sixteen warps",
    mistake: { from: BEFORE, to: `${WRITE}${elsewhere}` },
    vocab: LARGE_BLOCK,
    numbers: true,
  },
  {
    name: "no barrier after the exchange of a row's fold is read",
    mistake: { from: AFTER, to: elsewhere },
    vocab: BLOCK,
    numbers: true,
  },
  {
    name: "no shuffle: every lane keeps what it has",
    mistake: { from: "words.v[i] = self.shuffle(words.v[i], (self.thread() % 32) ^ mask);", to: "words.v[i] = words.v[i];" },
    vocab: WARP,
    numbers: true,
  },
  {
    name: "a shuffle with the wrong lane",
    mistake: { from: "(self.thread() % 32) ^ mask)", to: "(self.thread() % 32) & ~mask)" },
    vocab: WARP,
    numbers: true,
  },
  {
    name: "one round of shuffles too few",
    mistake: { from: "for (int mask = 16;", to: "for (int mask = 8;" },
    vocab: WARP,
    numbers: false,
  },
];

test.each(MISTAKES)("$name: seen in more than one order", async ({ mistake, vocab, numbers }) => {
  const right = await bitsOf(ppo, vocab, "forward", null);
  const wrong: Order[] = [];
  for (const order of ORDERS) {
    const got = await bitsOf(ppo, vocab, order, mistake);
    if (numbers) expect(got, `in the order ${order}`).toMatch(/^\["/);
    if (got !== right) wrong.push(order);
  }
  expect(wrong.length, `wrong in the orders ${wrong.join(", ")}`).toBeGreaterThanOrEqual(2);
});

test("shared memory that nobody has written is poison, and reaches the result", async () => {
  // Forward, the first warp reads before the others have written, and it is the one that reports.
  const device = await openPlanted("forward", { from: BEFORE, to: `${WRITE}${elsewhere}` });
  const compiled = await device.compile(ppo);
  const inputs = inputsFor(ppo, batchOf([5], BLOCK, "f32", false).inputs());
  const { logprobs } = await compiled.forwardBackward(inputs, {}, { nonFinite: "propagate" });
  expect([...(logprobs as Float32Array)].every(Number.isNaN)).toBe(true);
  await expectError("NON_FINITE", () => compiled.forwardBackward(inputs), "datum 0, token 0");
});

test("a barrier that only some lanes reach is a fault that says so", async () => {
  const device = await openPlanted("forward", {
    from: BEFORE,
    to: `${WRITE}      if (lane() < 200) self.barrier();\n`,
  });
  const compiled = await device.compile(ppo);
  const inputs = inputsFor(ppo, batchOf([5], BLOCK, "f32", false).inputs());
  const told = /thread \d+ of block 0 waits at a .* that thread \d+ never reaches/;
  expect((await expectError("DEVICE_FAULT", () => compiled.forwardBackward(inputs))).message).toMatch(told);
});
