/** Which source may import which. */
import { describe, expect, test } from "vitest";
import { circleIn, importsIn, reachable, sourceImports } from "./imports.js";

const IMPORTS = sourceImports();
const folderOf = (file: string): string => file.split("/")[0] as string;

describe("imports of the sources", () => {
  test("a circle of imports, type-only and dynamic ones included", () => {
    expect(circleIn(IMPORTS)).toBeUndefined();
  });

  test("a folder that imports one above it", () => {
    const below: Readonly<Record<string, readonly string[]>> = {
      dsl: ["dsl"],
      codegen: ["codegen", "dsl"],
      losses: ["losses", "dsl"],
    };
    const wrong = IMPORTS.filter(({ from, to }) => below[folderOf(from)]?.includes(folderOf(to)) === false);
    expect(wrong).toEqual([]);
  });

  test("a floor of the compiler that imports one above it", () => {
    const floors = ["codegen/passes/", "codegen/schedule/", "codegen/emit/"];
    const floorOf = (file: string) => floors.findIndex((floor) => file.startsWith(floor));
    const wrong = IMPORTS.filter(({ from, to }) => floorOf(from) >= 0 && floorOf(to) > floorOf(from));
    expect(wrong).toEqual([]);
  });

  test("code of the bench that is loaded before `lossc bench` is called", () => {
    const loaded = reachable(
      "runtime/cli/main.ts",
      IMPORTS.filter(({ kind }) => kind === "static"),
    );
    expect(loaded).toContain("runtime/cli/program.ts");
    expect([...loaded].filter((file) => folderOf(file) === "bench")).toEqual([]);
    const ofBench = IMPORTS.filter(({ from, to }) => folderOf(from) !== "bench" && folderOf(to) === "bench");
    expect(ofBench).toEqual([{ from: "runtime/cli/program.ts", to: "bench/bench.ts", kind: "dynamic" }]);
  });
});

describe("the reader of imports", () => {
  test("misses a way to import, or takes a type for a value", () => {
    const text = `
      import a, { type B } from "./1.js";
      import type { C } from "./2.js";
      import { type D, type E } from "./3.js";
      import "./4.js";
      export * from "./5.js";
      export { type F } from "./6.js";
      type G = import("./7.js").G;
      const later = () => import("./8.js");
    `;
    expect(importsIn(text).map(({ specifier, kind }) => `${specifier} ${kind}`)).toEqual([
      "./1.js static",
      "./2.js type",
      "./3.js type",
      "./4.js static",
      "./5.js static",
      "./6.js type",
      "./7.js type",
      "./8.js dynamic",
    ]);
  });

  test("overlooks a circle", () => {
    const all = [
      ["a", "b"],
      ["b", "c"],
      ["c", "d"],
      ["d", "b"],
    ].map(([from, to]) => ({ from: from as string, to: to as string, kind: "static" as const }));
    expect(circleIn(all)).toEqual(["b", "c", "d", "b"]);
    expect(circleIn(all.slice(0, 3))).toBeUndefined();
  });
});
