import { describe, expect, test } from "vitest";
import { CHUNK } from "../../codegen/schedule/plan.js";
import { type BatchShape, countOf, extentOf, locate, segmentLengths, structureArray } from "../../runtime/inputs/structure.js";

const shape: BatchShape = { lengths: [2, 0, CHUNK + 1], groups: [1, 2], vocab: 7, tokens: CHUNK + 3 };

describe("counts", () => {
  test("of every space", () => {
    expect(countOf(shape, "token")).toBe(CHUNK + 3);
    expect(countOf(shape, "sequence")).toBe(3);
    expect(countOf(shape, "group")).toBe(2);
    expect(countOf(shape, "batch")).toBe(1);
    expect(countOf({ ...shape, groups: null }, "group")).toBe(0);
  });

  test("of segments, also across two steps", () => {
    expect(segmentLengths(shape, ["token", "sequence"])).toEqual([2, 0, CHUNK + 1]);
    expect(segmentLengths(shape, ["sequence", "group"])).toEqual([1, 2]);
    expect(segmentLengths(shape, ["token", "group"])).toEqual([2, CHUNK + 1]);
    expect(segmentLengths(shape, ["token", "batch"])).toEqual([CHUNK + 3]);
    expect(segmentLengths(shape, ["group", "batch"])).toEqual([2]);
    expect(() => segmentLengths(shape, ["sequence", "token"])).toThrow(RangeError);
  });
});

describe("structure arrays", () => {
  test("segmentIds: the segment of each element", () => {
    const ids = structureArray(shape, { kind: "segmentIds", between: ["token", "sequence"] });
    expect(ids.length).toBe(CHUNK + 3);
    expect([...ids.slice(0, 4)]).toEqual([0, 0, 2, 2]);
    expect(ids.at(-1)).toBe(2);
    expect([...structureArray(shape, { kind: "segmentIds", between: ["sequence", "group"] })]).toEqual([0, 1, 1]);
  });

  test("offsets: the first element of each segment, and their number", () => {
    expect([...structureArray(shape, { kind: "offsets", between: ["token", "sequence"] })]).toEqual([0, 2, 2, CHUNK + 3]);
  });

  test("chunkOffsets: the first chunk of each segment, and their number; an empty segment has none", () => {
    expect([...structureArray(shape, { kind: "chunkOffsets", between: ["token", "sequence"] })]).toEqual([0, 1, 1, 3]);
  });

  test("of nothing", () => {
    const empty: BatchShape = { lengths: [], groups: null, vocab: 5, tokens: 0 };
    expect(structureArray(empty, { kind: "segmentIds", between: ["token", "sequence"] }).length).toBe(0);
    expect([...structureArray(empty, { kind: "offsets", between: ["token", "sequence"] })]).toEqual([0]);
  });
});

test("extents", () => {
  expect(extentOf(shape, { per: "row" })).toBe((CHUNK + 3) * 7);
  expect(extentOf(shape, { per: "sequence", plus: 1 })).toBe(4);
  expect(extentOf(shape, { per: "batch", plus: 3 })).toBe(4);
  expect(extentOf(shape, { chunksOf: ["token", "batch"] })).toBe(2);
  expect(extentOf(shape, { chunksOf: ["token", "batch"], segments: true })).toBe(3);
  expect(extentOf(shape, { chunksOf: ["token", "sequence"], segments: true })).toBe(6);
  expect(extentOf({ ...shape, lengths: [], tokens: 0 }, { chunksOf: ["token", "batch"], segments: true })).toBe(1);
});

test("a token's datum and its place in it", () => {
  expect(locate(shape, 0)).toEqual({ datum: 0, token: 0 });
  expect(locate(shape, 1)).toEqual({ datum: 0, token: 1 });
  expect(locate(shape, 2)).toEqual({ datum: 2, token: 0 });
  expect(locate(shape, CHUNK + 2)).toEqual({ datum: 2, token: CHUNK });
});
