import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { builtins } from "../../losses/index.js";
import { lossesPage } from "./losses-page.js";

test("docs/losses.md is what the sources say (npm run docs makes it anew)", async () => {
  await expect(lossesPage()).toMatchFileSnapshot("../../docs/losses.md");
});

test("every file of a loss is on the page, and nothing else is built in", () => {
  const files = readdirSync(new URL("../../losses/", import.meta.url)).flatMap(
    (file) => /^(.*)\.loss\.ts$/.exec(file)?.[1] ?? [],
  );
  const losses = files.filter((name) => name !== "terms" && name !== "metrics");
  expect(Object.keys(builtins).sort()).toEqual(losses.sort());
  const page = lossesPage();
  for (const name of losses) expect(page).toContain(`\n## ${name}\n`);
});
