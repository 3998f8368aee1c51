/** The walk of a loss in docs/architecture.md, compared with a loss that takes it. */
import { existsSync, readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { expect, test } from "vitest";
import { defineLoss } from "../../dsl/index.js";
import { sourceImports } from "../layout/imports.js";
import { openOnly, temporaryFolder, withEnvironment } from "../runtime/support.js";
import { ROOT } from "./blocks.js";

const page = readFileSync(`${ROOT}docs/architecture.md`, "utf8");
const section = /^## The walk of a loss\n([\s\S]*?)^## /m.exec(page)?.[1] as string;

interface Stop {
  readonly file: string;
  readonly called: string;
}

/** The stops of each part of the walk: lists with a sentence between them. */
const parts: readonly (readonly Stop[])[] = section
  .split(/\n\n(?!\d)/)
  .map((part) =>
    [...part.matchAll(/^\d+\. \[`(\S+)`\]\(\.\.\/(\S+)\) `([\w:]+)`/gm)].map(([, file = "", link, called = ""]) => {
      expect(link).toBe(file);
      return { file, called };
    }),
  )
  .filter((stops) => stops.length > 0);
const stops = parts.flat();
const inTypeScript = stops.filter(({ file }) => file.endsWith(".ts"));

test("a walk that lists a file twice, one that is gone, or more than twenty in TypeScript", () => {
  expect(stops).toHaveLength(section.match(/^\d+\. /gm)?.length ?? 0);
  expect(new Set(stops.map(({ file }) => file)).size).toBe(stops.length);
  expect(stops.filter(({ file }) => !existsSync(ROOT + file))).toEqual([]);
  expect(inTypeScript.length).toBeGreaterThan(10);
  expect(inTypeScript.length).toBeLessThanOrEqual(20);
  const lacking = stops.filter(({ file, called }) => !readFileSync(ROOT + file, "utf8").includes(called));
  expect(lacking).toEqual([]);
});

test("a walk with a file that no file before it imports, or is imported by", () => {
  const imports = sourceImports();
  /** Files that a file imports; of an index, what it exports. */
  const importedBy = (file: string): string[] =>
    imports
      .filter(({ from }) => from === file)
      .flatMap(({ to }) => (to.endsWith("/index.ts") && !inTypeScript.some((stop) => stop.file === to) ? importedBy(to) : [to]));
  const alone = inTypeScript.filter(({ file }, i) => {
    const before = inTypeScript.slice(0, i).map((stop) => stop.file);
    return i > 0 && !before.some((other) => importedBy(other).includes(file) || importedBy(file).includes(other));
  });
  expect(alone).toEqual([]);
});

test("a walk that no loss takes: each function is called in its part, and in none before", async () => {
  withEnvironment({ LOSSC_CACHE_DIR: temporaryFolder() });
  const device = await openOnly("cpu");
  // A name that no kernel in a cache has: the compiler is part of the walk.
  const loss = defineLoss({ name: `walked at ${Date.now()}`, loss: (policy) => policy.logprobs });
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  const calledSince = async () => {
    const { result } = await session.post("Profiler.takePreciseCoverage");
    return result.flatMap(({ url, functions }) =>
      functions.filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0).map(({ functionName }) => `${url} ${functionName}`),
    );
  };
  await calledSince();
  await device.compile(loss);
  const first = await calledSince();
  await device.compile(loss, { vocab: 4 });
  const second = await calledSince();
  using compiled = await device.compile(loss);
  await calledSince();
  await compiled.forwardBackward({ lengths: [1], logits: new Float32Array(4), target_tokens: [1] });
  const called = [first, second, await calledSince()];
  session.disconnect();
  const missed = parts.slice(0, 3).flatMap((part, i) =>
    part.flatMap(({ file, called: name }) => {
      const isCall = (one: string) => one.endsWith(`/${file} ${name}`);
      if (!called[i]?.some(isCall)) return [`${file} ${name} is not called in part ${i + 1}`];
      return called.slice(0, i).some((calls) => calls.some(isCall)) ? [`${file} ${name} is called before part ${i + 1}`] : [];
    }),
  );
  expect(missed).toEqual([]);
});
