/** Chunks of a batch: every element once, in order, nothing cut that must stay whole. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ElementSpace } from "../../codegen/schedule/plan.js";
import { cutChunks, running } from "../../runtime/head/chunks.js";
import type { BatchShape } from "../../runtime/inputs/structure.js";
import { SEED } from "../sample.js";

const shapeOf = (lengths: readonly number[], groups: readonly number[] | null = null): BatchShape => ({
  lengths,
  groups,
  vocab: 7,
  tokens: lengths.reduce((a, b) => a + b, 0),
});
const everyToken = ({ tokens }: BatchShape) => running(new Array(tokens).fill(1));

const tokensOf = (shape: BatchShape, waitsFor: ElementSpace, most: number, rows = everyToken(shape)) => {
  const { list, closed } = cutChunks(shape, waitsFor, most, rows);
  return { closed, tokens: list.map((chunk) => chunk.range("token")), rows: list.map((chunk) => chunk.rows) };
};

describe("cutChunks", () => {
  it("cuts anywhere where a token waits for nothing", () => {
    expect(tokensOf(shapeOf([3, 4]), "token", 3)).toEqual({
      closed: true,
      tokens: [
        { first: 0, last: 3 },
        { first: 3, last: 6 },
        { first: 6, last: 7 },
      ],
      rows: [3, 3, 1],
    });
  });

  it("keeps sequences whole that fit, however empty", () => {
    const shape = shapeOf([2, 0, 3, 1, 0]);
    const { list, closed } = cutChunks(shape, "sequence", 3, everyToken(shape));
    expect(closed).toBe(true);
    expect(list.map((chunk) => chunk.range("sequence"))).toEqual([
      { first: 0, last: 2 },
      { first: 2, last: 3 },
      { first: 3, last: 5 },
    ]);
    expect(list.map((chunk) => chunk.rows)).toEqual([2, 3, 1]);
  });

  it("cuts a sequence that does not fit, and says so", () => {
    expect(tokensOf(shapeOf([5, 1]), "sequence", 4)).toMatchObject({ closed: false, rows: [4, 2] });
    expect(tokensOf(shapeOf([5, 1]), "batch", 4)).toMatchObject({ closed: false, rows: [4, 2] });
  });

  it("has one chunk, closed, where all rows fit", () => {
    expect(tokensOf(shapeOf([5, 1]), "batch", 6)).toEqual({ closed: true, tokens: [{ first: 0, last: 6 }], rows: [6] });
  });

  it("counts the rows that there are", () => {
    const shape = shapeOf([4, 2]);
    const rows = running([1, 0, 0, 1, 0, 1]);
    expect(tokensOf(shape, "token", 1, rows)).toEqual({
      closed: true,
      tokens: [
        { first: 0, last: 3 },
        { first: 3, last: 5 },
        { first: 5, last: 6 },
      ],
      rows: [1, 1, 1],
    });
  });

  it("determines the sequences of whole groups, and no sequence of a cut one", () => {
    const shape = shapeOf([1, 2, 3, 1], [2, 2]);
    const { list } = cutChunks(shape, "group", 4, everyToken(shape));
    expect(list.map((chunk) => chunk.range("sequence"))).toEqual([
      { first: 0, last: 2 },
      { first: 2, last: 4 },
    ]);
    const cut = cutChunks(shape, "token", 2, everyToken(shape)).list[0];
    expect(() => cut?.range("sequence")).toThrow(RangeError);
  });

  it("visits every element once, and keeps to the limit where a single element does", () => {
    const groups = fc.array(fc.array(fc.nat(5), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 6 });
    const property = fc.property(groups, fc.integer({ min: 1, max: 12 }), fc.nat(), (lengths, most, seed) => {
      const shape = shapeOf(
        lengths.flat(),
        lengths.map((group) => group.length),
      );
      const rows = running(Array.from({ length: shape.tokens }, (_, t) => (seed >> (t % 30)) & 1));
      for (const waitsFor of ["token", "sequence", "group", "batch"] as const) {
        const { list, closed } = cutChunks(shape, waitsFor, most, rows);
        const spaces = closed && waitsFor !== "token" ? (["token", waitsFor] as const) : (["token"] as const);
        for (const space of spaces) {
          let next = 0;
          for (const chunk of list) {
            expect(chunk.range(space).first).toBe(next);
            next = chunk.range(space).last;
          }
          expect(next).toBe({ token: shape.tokens, sequence: shape.lengths.length, group: lengths.length, batch: 1 }[space]);
        }
        for (const chunk of list) expect(chunk.rows).toBeLessThanOrEqual(most);
        expect(list.reduce((sum, chunk) => sum + chunk.rows, 0)).toBe(rows.at(-1));
      }
    });
    fc.assert(property, { seed: SEED, numRuns: 300 });
  });
});
