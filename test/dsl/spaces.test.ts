import { expect, it } from "vitest";
import { AXES, type Axis, isFiner, isPerEntry, join, pathTo, reduced, SPACES, type Space } from "../../dsl/spaces.js";

it("a value of a coarser space is broadcast, one of a finer space is not", () => {
  const apart = (x: Space, y: Space) => x === "entry" && ["token", "sequence", "group"].includes(y);
  for (const [i, x] of SPACES.entries())
    for (const [j, y] of SPACES.entries()) expect(isFiner(x, y), `${x} ${y}`).toBe(i < j && !apart(x, y) && !apart(y, x));
});

it("two spaces join at the finer level, with the axis that either has; nothing joins to the batch", () => {
  expect(join(["batch", "token", "sequence"])).toBe("token");
  expect(join(["group", "vocab"])).toBe("vocab");
  expect(join([])).toBe("batch");
  for (const x of SPACES) for (const y of SPACES) expect(join([x, y])).toBe(join([y, x]));
});

it("a value per entry and one per element join to one for each entry beside each element", () => {
  expect(join(["entry", "token"])).toBe("vocab");
  expect(join(["entry", "vocab"])).toBe("vocab");
  expect(join(["sequence", "entry"])).toBe("sequence × vocab");
  expect(join(["group", "entry", "batch"])).toBe("group × vocab");
  expect(join(["sequence × vocab", "token"])).toBe("vocab");
});

it("joining is what broadcasting is: both spaces are the joint one, or coarser", () => {
  for (const x of SPACES)
    for (const y of SPACES) {
      const both = join([x, y]);
      for (const one of [x, y]) expect(one === both || isFiner(both, one)).toBe(true);
    }
});

it("a reduction removes the axis that it names, or leads to the next level", () => {
  const without = Object.entries(AXES).map(([axis, space]) => reduced(axis as Axis, space));
  expect(without).toEqual(["token", "sequence", "group", "batch"]);
  expect(reduced("vocab", "entry")).toBe("batch");
  expect(reduced("tokens", "entry")).toBe(null);
  expect(reduced("vocab", "sequence × vocab")).toBe(null);
});

it("folds lead from each space to each coarser one without entries, the row's axis first", () => {
  expect(pathTo("vocab", "batch")).toEqual(["token", "batch"]);
  expect(pathTo("vocab", "token")).toEqual(["token"]);
  expect(pathTo("token", "group")).toEqual(["group"]);
  for (const from of SPACES)
    for (const to of SPACES.filter((space) => isFiner(from, space) && !isPerEntry(space))) {
      const path: readonly Space[] = pathTo(from, to);
      expect(path.at(-1)).toBe(to);
      expect(path.some(isPerEntry)).toBe(false);
    }
});
