/** How contestants take turns. */
import { expect, test } from "vitest";
import { race } from "../../bench/race.js";

test("contestants take turns on new data, every other round backwards, and warm-up does not count", async () => {
  const turns: string[] = [];
  const contestants = ["a", "b", "c"].map((name) => async () => void turns.push(name));
  const taken = await race(contestants, { rounds: 3, warmUp: 1 }, async () => void turns.push("-"));
  const rounds = turns.join("").match(/.{6}/g) as string[];
  expect(rounds).toHaveLength(4);
  for (const [i, round] of rounds.entries()) expect(round).toBe(i % 2 === 0 ? "-c-b-a" : "-a-b-c");
  expect(taken.map(({ length }) => length)).toEqual([3, 3, 3]);
});
