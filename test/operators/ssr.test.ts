/** Vite's server-side rendering with the built package, in processes of their own: one copy of lossc and two, mapped stacks and not. */
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { folder } from "../cli/lossc.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const VITE = fileURLToPath(import.meta.resolve("vite"));

const LOSS = `// A comment, and types that leave no trace.
import { defineLoss, type Expr } from "lossc";

interface Erased {
  readonly word: string;
}

const chosen = (x: Expr): Expr => {
  if (x > 0) return x;
  return 0;
};

export const bad = defineLoss({
  name: "bad",
  loss(policy) {
    const y: Expr =
      chosen(policy.logprobs);
    return y;
  },
});
`;

const MAIN = `
import { createServer } from ${JSON.stringify(VITE)};
import lossc from "lossc/vite";
import { openDevice } from "lossc";
const alias = JSON.parse(process.argv[2]).map(([find, replacement]) => ({ find: new RegExp("^" + find + "$"), replacement }));
const server = await createServer({
  root: import.meta.dirname, configFile: false, logLevel: "silent", appType: "custom", plugins: [lossc()],
  server: { middlewareMode: true, watch: null, ws: false, hmr: false }, optimizeDeps: { noDiscovery: true },
  resolve: { alias }, ssr: { external: alias.length > 1 ? [] : ["lossc"] },
});
const load = process.argv[3] === "runner" ? (path) => server.environments.ssr.runner.import(path) : (path) => server.ssrLoadModule(path);
try {
  await (await openDevice("reference")).compile((await load("/a.loss.ts")).bad);
} catch ({ code, message, position }) {
  console.log(JSON.stringify({ code, message, position }));
}
await server.close();
`;

interface Caught {
  readonly code: string;
  readonly message: string;
  readonly position?: { readonly file: string; readonly line: number; readonly column: number };
}

function caught(
  way: "ssrLoadModule" | "runner",
  alias: readonly (readonly [string, string])[] = [],
): Caught & { readonly root: string } {
  const root = folder({ "a.loss.ts": LOSS, "main.mjs": MAIN });
  mkdirSync(join(root, "node_modules"));
  symlinkSync(ROOT, join(root, "node_modules", "lossc"));
  const { stdout, stderr } = spawnSync(process.execPath, ["main.mjs", JSON.stringify(alias), way], {
    cwd: root,
    encoding: "utf8",
  });
  expect(stderr.replaceAll(/.*ExperimentalWarning.*\n|\(Use `node.*\n/g, "")).toBe("");
  return { ...(JSON.parse(stdout) as Caught), root };
}

describe("in Vite's SSR", () => {
  test.each(["ssrLoadModule", "runner"] as const)("a mistake has a place that is not the source's: %s", (way) => {
    const { root, ...error } = caught(way);
    expect(error).toMatchObject({ code: "UNSUPPORTED_SYNTAX", position: { file: join(root, "a.loss.ts"), line: 9, column: 7 } });
    expect(error.message).toContain(">  9 |   if (x > 0) return x;\n     |       ^");
  });

  test("a loss of another copy of lossc is called an object, without the cause", () => {
    const { code, message } = caught("ssrLoadModule", [
      ["lossc/operators", `${ROOT}dist/dsl/operators.js`],
      ["lossc", `${ROOT}dist/index.js`],
    ]);
    expect(code).toBe("USAGE");
    expect(message).toContain("device.compile() was given what another copy of lossc in this process has made");
    for (const said of [`(${ROOT.slice(0, -1)}, loaded twice)`, "npm ls lossc", 'dedupe: ["lossc"]', 'external: ["lossc"]'])
      expect(message).toContain(said);
  });

  test("a file whose operators are of another copy is called one that was not rewritten", () => {
    // Only "lossc" itself is taken in; its operators stay Node's.
    const { root, ...error } = caught("ssrLoadModule", [["lossc", `${ROOT}dist/index.js`]]);
    expect(error.code).toBe("UNSUPPORTED_SYNTAX");
    expect(error.message).toContain("the operators of this file are those of another copy of lossc in this process");
    expect(error.position).toMatchObject({ file: join(root, "a.loss.ts"), line: 13 });
  });
});
