import { expect, it } from "vitest";
import { finest, isFiner, nextCoarser, SPACES } from "../../dsl/spaces.js";

it("orders spaces from the vocabulary to the batch", () => {
  for (const [i, x] of SPACES.entries()) for (const [j, y] of SPACES.entries()) expect(isFiner(x, y)).toBe(i < j);
});

it("finds the finest, which of nothing is the batch", () => {
  expect(finest(["batch", "token", "sequence"])).toBe("token");
  expect(finest([])).toBe("batch");
});

it("goes one space at a time", () => {
  expect((["vocab", "token", "sequence", "group"] as const).map(nextCoarser)).toEqual(["token", "sequence", "group", "batch"]);
});
