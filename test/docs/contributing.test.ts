/** The lists of files in CONTRIBUTING.md: each file is there, has to do with the example of its section, and has the names that the list gives. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ROOT } from "./blocks.js";

const page = readFileSync(`${ROOT}CONTRIBUTING.md`, "utf8");

interface Section {
  /** By which the lists are checked. */
  readonly example: string;
  /** What stands for it in files. */
  readonly words: RegExp;
  readonly atLeast: number;
  /** Files and folders that have the example in their code, and nothing to write for another of its kind; null where its words are too common to look for. */
  readonly besides: readonly string[] | null;
}

const SECTIONS: Readonly<Record<string, Section>> = {
  "An op": { example: "tanh", words: /\btanh_?\b/, atLeast: 9, besides: ["runtime/training/"] },
  "An op of a row": {
    example: "softmax",
    words: /\bsoftmax\b/,
    atLeast: 10,
    // Formulas have ways of their own for probabilities, and a pass is called after them.
    besides: ["dsl/trace.ts", "codegen/explain/", "codegen/passes/rows/index.ts"],
  },
  "A leaf": {
    example: "placeInGroup",
    words: /\bplaceInGroup\b/,
    atLeast: 7,
    // `pick` is spelt out in it, and formulas show `pick`.
    besides: ["dsl/ops/folds.ts", "codegen/explain/"],
  },
  "A fold": { example: "min", words: /\ba?min\b/i, atLeast: 5, besides: null },
  "A reduction": { example: "amax", words: /\bamax\b/, atLeast: 12, besides: [] },
  "A loss": { example: "ppo", words: /\bppo\b/, atLeast: 7, besides: null },
  "A target": { example: "cuda", words: /cuda/i, atLeast: 14, besides: null },
  // The default of an option.
  "A dtype of logits": { example: "bf16", words: /bf16/, atLeast: 18, besides: ["runtime/cli/program.ts"] },
};

/** Files that have no words of the example, because they know such things by their records. */
const GENERAL = ["CMakeLists.txt", "runtime/ahead/binaries.ts"];

const contents = (path: string): string =>
  statSync(ROOT + path).isFile()
    ? readFileSync(ROOT + path, "utf8")
    : readdirSync(ROOT + path, { recursive: true, encoding: "utf8" })
        .filter((name) => statSync(`${ROOT}${path}/${name}`).isFile())
        .map((name) => readFileSync(`${ROOT}${path}/${name}`, "utf8"))
        .join("\n");

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, "");

/** The code of the compiler and the runtime, without comments; losses are written in it. */
const code = new Map(
  ["dsl", "codegen", "runtime", "native"]
    .flatMap((folder) => readdirSync(ROOT + folder, { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`))
    .filter((path) => /\.(ts|h|cc|cu)$/.test(path))
    .map((path) => [path, withoutComments(readFileSync(ROOT + path, "utf8"))]),
);

describe.each(Object.entries(SECTIONS))("%s", (title, { example, words, atLeast, besides }) => {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${title}\n`)) ?? "";
  const quoted = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, inner = ""]) => inner);
  const items = [...section.matchAll(/^- ((?:`[^`]+`(?:, )?)+):(.*(?:\n {2}.*)*)/gm)].map(([, list = "", text = ""]) => ({
    paths: quoted(list).map((path) => path.replace("NAME", example)),
    identifiers: quoted(text).filter((inner) => /^[A-Za-z_]\w*$/.test(inner)),
  }));
  const files = items.flatMap(({ paths }) => paths);
  const identifiers = items.flatMap(({ paths, identifiers }) => identifiers.map((name) => [name, paths] as const));

  test("a list that is no longer found, or not checked by its example", () => {
    expect(files.length).toBeGreaterThanOrEqual(atLeast);
    expect(files).toHaveLength(new Set(files).size);
    expect(section.match(/^- /gm)?.length).toBe(section.match(/^- (?:`[^`]+`(?:, )?)+:/gm)?.length);
    expect(section).toContain(`For example \`${example}\``);
  });

  test.each(files)("%s is gone, or has nothing to do with it", (path) => {
    expect(existsSync(ROOT + path)).toBe(true);
    if (!GENERAL.includes(path)) expect(contents(path)).toMatch(words);
  });

  test.runIf(besides)("a file that knows the example, and that the list leaves out", () => {
    const known = [...files, ...(besides ?? [])];
    const found = [...code].filter(([path, text]) => words.test(text) && !known.some((listed) => path.startsWith(listed)));
    expect(found.map(([path]) => path)).toEqual([]);
  });

  test.each(identifiers)("%s is not in %s", (name, paths) => {
    expect(paths.map(contents).join("\n")).toMatch(new RegExp(`\\b${name}\\b`));
  });
});

test("a file within a sentence of the page that is gone", () => {
  const named = [...page.matchAll(/`((?:\w[\w.-]*\/)+[\w.-]*)`/g)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(50);
  const gone = named.filter(
    (path) => !path.includes("NAME") && !existsSync(ROOT + path) && !existsSync(`${ROOT}codegen/preludes/${path}`),
  );
  expect(gone).toEqual([]);
});

test("README.md counts other losses than there are", () => {
  const losses = readdirSync(`${ROOT}losses`).filter((name) => /\.loss\.ts$/.test(name) && !/^(terms|metrics)\./.test(name));
  expect(readFileSync(`${ROOT}README.md`, "utf8")).toContain(`| ${losses.length} losses`);
});
