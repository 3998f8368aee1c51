/** The parts of the trainer. */
import { describe, expect, test } from "vitest";
import { BigramTable } from "../../examples/bigram.js";
import { Random } from "../../examples/random.js";
import { datumOf, groupAdvantages } from "../../examples/reinforcement.js";
import { reward } from "../../examples/reward.js";
import { readBook } from "../../examples/text.js";

describe("the book", () => {
  const book = readBook();

  test("is there, and is split the same way every time", () => {
    expect(book.training.length).toBeGreaterThan(1_000_000);
    expect(book.heldOut.length / book.training.length).toBeGreaterThan(0.05);
    expect(book.vocabulary.decode(book.training.slice(0, 16))).toBe("Call me Ishmael.");
    expect(readBook().heldOut).toEqual(book.heldOut);
  });

  test("survives the way to tokens and back", () => {
    expect(book.vocabulary.decode(book.vocabulary.encode("the whale, Ahab!"))).toBe("the whale, Ahab!");
    expect(book.vocabulary.encode("Ω")).toHaveLength(0);
    expect(Math.max(...book.heldOut)).toBeLessThan(book.vocabulary.size);
  });

  test("has a lexicon of the training text", () => {
    expect(book.lexicon.has("whale")).toBe(true);
    expect(book.lexicon.has("whlae")).toBe(false);
  });
});

describe("reward", () => {
  const lexicon = new Set(["the", "whale", "b"]);
  test.each([
    ["the whale", 8 / 9],
    ["The WHALE!", 8 / 10],
    ["the the the", 3 / 11],
    ["thewhale", 0],
    ["b b b I", 1 / 7],
    ["", 0],
  ])("of %j is %d", (text, expected) => expect(reward(text, lexicon)).toBeCloseTo(expected, 12));
});

test("advantages are of mean 0 within a group, and of deviation 1", () => {
  const advantages = groupAdvantages([1, 3, 10, 14], 2);
  expect(advantages[0]).toBeCloseTo(-(advantages[1] as number), 12);
  expect(advantages[2]).toBeCloseTo(2 * (advantages[0] as number), 12);
  expect(Math.sqrt(advantages.reduce((total, a) => total + a * a, 0) / 4)).toBeCloseTo(1, 12);
  expect(groupAdvantages([2, 2], 2)).toEqual([0, 0]);
});

test("a sample becomes a datum whose prompt is only read", () => {
  const sample = { prompt: Int32Array.of(7, 8), tokens: Int32Array.of(1, 2, 3), logprobs: Float32Array.of(-1, -2, -3) };
  expect(datumOf(sample, 6)).toEqual({
    modelInput: Int32Array.of(7, 8, 1, 2),
    lossFnInputs: {
      target_tokens: Int32Array.of(8, 1, 2, 3),
      weights: Float32Array.of(0, 1, 1, 1),
      logprobs: Float32Array.of(0, -1, -2, -3),
      advantages: Float32Array.of(0, 2, 2, 2),
    },
  });
});

test("the bigram table gives probabilities with one added to each count", () => {
  const table = new BigramTable(Int32Array.of(0, 1, 0, 1, 0), 2);
  expect(table.loss(Int32Array.of(0), Int32Array.of(1))).toBeCloseTo(-Math.log(3 / 4), 12);
  expect(table.loss(Int32Array.of(0, 1), Int32Array.of(0, 0))).toBeCloseTo((Math.log(4) - Math.log(3 / 4)) / 2, 12);
});

describe("random numbers", () => {
  test("go on from a state", () => {
    const random = new Random(5);
    random.uniform();
    const copy = new Random(random.state);
    expect(Array.from({ length: 20 }, () => copy.uniform())).toEqual(Array.from({ length: 20 }, () => random.uniform()));
  });

  test("are spread as they should be", () => {
    const random = new Random(6);
    const count = 20_000;
    const mean = (draw: () => number) => Array.from({ length: count }, draw).reduce((a, b) => a + b, 0) / count;
    expect(mean(() => random.uniform())).toBeCloseTo(0.5, 1);
    expect(mean(() => random.normal())).toBeCloseTo(0, 1);
    expect(mean(() => random.normal() ** 2)).toBeCloseTo(1, 1);
    expect(random.permutation(50).sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(new Set(Array.from({ length: 200 }, () => random.below(3)))).toEqual(new Set([0, 1, 2]));
  });
});
