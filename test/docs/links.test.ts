/** Links of the pages, and names of files in them: nothing leads to a file or a heading that is gone. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "./blocks.js";

const pages = [
  ...[
    "README.md",
    "CONTRIBUTING.md",
    "codegen/README.md",
    "codegen/preludes/README.md",
    "native/README.md",
    "examples/README.md",
  ],
  ...readdirSync(`${ROOT}docs`).map((name) => `docs/${name}`),
].filter((page) => page.endsWith(".md") && existsSync(ROOT + page));

const textOf = (page: string) => readFileSync(ROOT + page, "utf8").replace(/^```[\s\S]*?^```$/gm, "");

/** Headings as GitHub names them in links. */
const anchorsOf = (page: string): string[] =>
  [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, "")
      .replaceAll(" ", "-"),
  );

describe.each(pages)("%s", (page) => {
  test("a link to a file or a heading that is not there", () => {
    const broken = [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
      if (/^[a-z]+:/.test(link)) return [];
      const [path = "", anchor] = link.split("#");
      const file = path === "" ? page : posix.join(posix.dirname(page), path);
      if (!existsSync(ROOT + file)) return [link];
      return anchor === undefined || anchorsOf(file).includes(anchor) ? [] : [link];
    });
    expect(broken).toEqual([]);
  });
});

test("codegen/README.md names a file that is gone", () => {
  const files = readdirSync(`${ROOT}codegen`, { recursive: true, encoding: "utf8" }).map((file) => posix.basename(file));
  const named = [...textOf("codegen/README.md").matchAll(/`([\w-]+\.ts)`/g)].map(([, name]) => name as string);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((name) => !files.includes(name))).toEqual([]);
});
