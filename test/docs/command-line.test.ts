/** `docs/command-line.md` says of every command which options it takes. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { lossc } from "../cli/lossc.js";

const page = readFileSync("docs/command-line.md", "utf8");
const commands = [...page.matchAll(/^## lossc (\S+).*\n([\s\S]*?)(?=^## )/gm)].map(([, name = "", text = ""]) => ({
  name,
  text,
}));

test("every command has a section", async () => {
  const { stdout } = await lossc(["--help"]);
  const listed = [...stdout.matchAll(/^ {2}([a-z-]+) (?:\[|<)/gm)].map(([, name]) => name).filter((name) => name !== "help");
  expect(listed.length).toBeGreaterThan(6);
  expect(commands.map(({ name }) => name).sort()).toEqual(listed.sort());
});

test.each(commands)("the section of $name names every option", async ({ name, text }) => {
  const { stdout } = await lossc([name, "--help"]);
  const options = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option).filter((x) => x !== "--help");
  for (const option of options) expect(text).toContain(option);
});
