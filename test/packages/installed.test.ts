/** lossc as an installed package: by import and require, the hooks, Vite, the command line, TypeScript; how long an import takes. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cli, node, packInto, project, ROOT, scratch } from "./support.js";

let folder: string;
let archive: string;

beforeAll(() => {
  folder = scratch();
  archive = packInto(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LOSS = `import { defineLoss } from "lossc";
export const mine = defineLoss({ name: "mine", loss: (policy) => -2 * policy.logprobs + 1 });
`;
const CASE = `{ lengths: [1], logits: Float32Array.of(0, 0), target_tokens: [1] }`;
/** Of {@link LOSS}. */
const VALUE = expect.closeTo(2 * Math.log(2) + 1, 5);

describe("from Node", () => {
  test("import and require give one and the same lossc, with the compiled addon", () => {
    const root = project(archive, {
      "main.cjs": `const { openDevice, losses } = require("lossc");
        for (const name of ["operators", "vite", "register"]) require("lossc/" + name);
        (async () => {
          const same = (await import("lossc")).openDevice === openDevice;
          const device = await openDevice("cpu");
          const compiled = await device.compile(losses.cross_entropy);
          const { loss } = await compiled.forwardBackward(${CASE});
          await device.dispose();
          console.log(JSON.stringify({ same, device: device.name, loss }));
        })();`,
    });
    const { stdout, stderr } = node(root, ["--no-warnings", "main.cjs"]);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual({ same: true, device: "cpu", loss: expect.closeTo(Math.log(2), 5) });
  });

  test("node --import lossc/register runs a program with a loss that is written with operators", () => {
    const root = project(archive, {
      "my.loss.ts": LOSS,
      "main.mjs": `import { openDevice } from "lossc";
        import { mine } from "./my.loss.ts";
        const device = await openDevice("reference");
        console.log((await (await device.compile(mine)).forwardBackward(${CASE})).loss);`,
    });
    const { stdout, stderr } = node(root, ["--import", "lossc/register", "main.mjs"]);
    expect(stderr).toBe("");
    expect(Number(stdout)).toEqual(VALUE);
  });

  test("the command line evaluates a loss of one's own", () => {
    const root = project(archive, { "my.loss.ts": LOSS });
    const input = JSON.stringify({ lengths: [1], vocab: 2, logits: [0, 0], target_tokens: [1], inputs: {} });
    const { stdout, stderr } = cli(root, ["eval", "my.loss.ts#mine", "--device", "cpu"], { input });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({ device: "cpu", loss: VALUE });
  });

  test("an import loads neither a compiler of TypeScript nor what draws or shows mistakes, and takes at most 0.15 s", () => {
    const root = project(archive, {
      "main.mjs": `import { createRequire } from "node:module";
        import "lossc";
        console.log(JSON.stringify(Object.keys(createRequire(import.meta.url).cache)));`,
    });
    // All of lossc is ES modules: what is left are packages.
    expect(JSON.parse(node(root, ["main.mjs"]).stdout)).toEqual([]);
    // Of a core: the clock would measure what else the machine does. The least of several is what the work takes.
    const measure = `const before = process.cpuUsage();
      import("lossc").then(() => { const { user, system } = process.cpuUsage(before); console.log((user + system) / 1e6); });`;
    const seconds = Array.from({ length: 7 }, () => Number(node(root, ["-e", measure]).stdout));
    expect(Math.min(...seconds)).toBeGreaterThan(0.005);
    expect(Math.min(...seconds)).toBeLessThanOrEqual(0.15);
  });
});

test("Vite bundles a loss that is written with operators", async () => {
  const root = project(archive, {
    "package.json": `{ "type": "module" }`,
    "my.loss.ts": LOSS,
    "main.ts": `export { mine } from "./my.loss.ts";\n`,
  });
  const plugin = (await import(pathToFileURL(join(root, "node_modules/lossc/dist/runtime/vite.js")).href)) as {
    default(): object;
  };
  const { build } = (await import("vite")) as unknown as { build(config: object): Promise<unknown> };
  await build({
    root,
    configFile: false,
    logLevel: "error",
    plugins: [plugin.default()],
    build: { ssr: "main.ts", outDir: "out" },
    ssr: { external: ["lossc"] },
  });
  const built = join(root, "out", "main.js");
  expect(readFileSync(built, "utf8")).not.toContain("-2 * policy");
  writeFileSync(
    join(root, "run.mjs"),
    `import { openDevice } from "lossc";
     import { mine } from "./out/main.js";
     const device = await openDevice("reference");
     console.log((await (await device.compile(mine)).forwardBackward(${CASE})).loss);`,
  );
  const { stdout, stderr } = node(root, ["run.mjs"]);
  expect(stderr).toBe("");
  expect(Number(stdout)).toEqual(VALUE);
});

describe("TypeScript compiles what uses lossc, its declarations included, without the types of Node and the DOM", () => {
  const USE = `import { type Device, defineLoss, losses, openDevice } from "lossc";
    import * as operators from "lossc/operators";
    import "lossc/register";
    import plugin from "lossc/vite";
    export const mine = defineLoss({ name: "mine", inputs: { advantages: "token" }, loss: (policy) => policy.logprobs });
    export async function run(signal: AbortSignal): Promise<number> {
      await using device: Device = await openDevice("cpu");
      const compiled = await device.compile(mine);
      const given = { lengths: [1], logits: Float32Array.of(0, 0), target_tokens: [1], advantages: [1] };
      const { loss } = await compiled.forwardBackward(given, {}, { signal });
      return loss;
    }
    export const all = [losses.ppo, operators, plugin()];
    // @ts-expect-error: there is no such space
    defineLoss({ name: "wrong", inputs: { advantages: "tokens" }, loss: (policy) => policy.logprobs });
  `;
  const options = { noEmit: true, strict: true, exactOptionalPropertyTypes: true, target: "es2022", lib: ["es2022"], types: [] };

  test.each([
    ["node16", "node16", "main.mts"],
    ["nodenext", "nodenext", "main.mts"],
    ["esnext", "bundler", "main.ts"],
    ["nodenext", "nodenext", "main.cts"],
  ])("module %s, moduleResolution %s, in %s", (module, moduleResolution, file) => {
    const root = project(archive, {
      [file]: USE,
      "tsconfig.json": JSON.stringify({ compilerOptions: { ...options, module, moduleResolution }, files: [file] }),
    });
    const { stdout, status } = node(root, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", root]);
    expect(stdout).toBe("");
    expect(status).toBe(0);
  });
});

describe("what draws is not installed, and asked for by name", () => {
  test("a picture of a loss, by Graphviz", () => {
    const root = project(archive);
    const { stdout, status } = cli(root, ["explain", "ppo", "--svg", "ppo.svg"]);
    expect(status).toBe(2);
    expect(JSON.parse(stdout).error).toEqual({ code: "USAGE", message: expect.stringContaining("npm install @viz-js/viz@3") });
    expect(existsSync(join(root, "ppo.svg"))).toBe(false);
  });

  test("a chart of the bench, by Vega, before anything is measured", () => {
    const root = project(archive);
    const { stdout, status } = cli(root, ["bench", "--device", "cpu", "--svg", "bench.svg"]);
    expect(status).toBe(2);
    expect(JSON.parse(stdout).error).toEqual({
      code: "USAGE",
      message: expect.stringContaining("npm install vega@5 vega-lite@5"),
    });
  });
});
