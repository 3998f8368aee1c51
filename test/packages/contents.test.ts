/** Contents of `npm pack` and of an install: everything that runs, and nothing else. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { filesOf, lockedPackages, packInto, productionFolders, ROOT, scratch, unpack } from "./support.js";

let folder: string;
let installed: string;
let files: string[];

beforeAll(() => {
  folder = scratch();
  const archive = packInto(folder);
  files = filesOf(archive);
  installed = unpack(archive, folder, "lossc");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

function bytesOf(path: string): number {
  const found = statSync(path);
  if (!found.isDirectory()) return found.size;
  return readdirSync(path).reduce((sum, name) => sum + (name === "node_modules" ? 0 : bytesOf(join(path, name))), 0);
}

describe("the tarball", () => {
  test("holds the addon of this machine and all that another one needs to build it", () => {
    const sources = execFileSync("git", ["ls-files", "native"], { cwd: ROOT, encoding: "utf8" }).split("\n");
    for (const file of sources.filter((name) => /\.(cc|h)$/.test(name) && existsSync(join(ROOT, name))))
      expect(files).toContain(file);
    for (const file of ["CMakeLists.txt", "scripts/addon.mjs", "build/Release/lossc.node"]) expect(files).toContain(file);
  });

  test("holds no tests, sources, examples, source maps, nor scripts that run in a checkout alone", () => {
    expect(files.filter((file) => /(^|\/)(test|examples|docs)\/|\.map$|(?<!\.d)\.ts$/.test(file))).toEqual([]);
    expect(files.filter((file) => file.startsWith("scripts/"))).toEqual(["scripts/addon.mjs"]);
    expect(new Set(files.filter((file) => !file.includes("/")))).toEqual(
      new Set(["package.json", "README.md", "LICENSE", "CMakeLists.txt"]),
    );
  });

  test("names no source map: there is none", () => {
    for (const file of files.filter((name) => name.endsWith(".js")))
      expect(readFileSync(join(installed, file), "utf8"), file).not.toMatch(/^\/\/# sourceMappingURL=/m);
  });

  test("imports and exports what it holds, what Node has, and what package.json names", () => {
    const named = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }));
    let count = 0;
    for (const file of files.filter((name) => /\.(m?js|d\.ts)$/.test(name) && !name.startsWith("dist/losses/"))) {
      const { importedFiles } = ts.preProcessFile(readFileSync(join(installed, file), "utf8"), true, true);
      for (const { fileName: specifier } of importedFiles) {
        count++;
        if (specifier.startsWith("node:")) expect(builtinModules, `${file}: ${specifier}`).toContain(specifier.slice(5));
        else if (specifier.startsWith(".")) {
          const target = join(dirname(file), specifier);
          expect(files, `${file}: ${specifier}`).toContain(file.endsWith(".d.ts") ? target.replace(/\.js$/, ".d.ts") : target);
        } else if (!specifier.startsWith("lossc")) {
          expect(named, `${file}: ${specifier}`).toContain(specifier);
        }
      }
    }
    expect(count).toBeGreaterThan(500);
    const exported = Object.values<string | { types: string; default: string }>(manifest.exports);
    for (const path of exported.flatMap((entry) => (typeof entry === "string" ? [entry] : [entry.types, entry.default])))
      expect(files).toContain(path.slice(2));
    for (const path of Object.values<string>(manifest.bin)) expect(files).toContain(path);
  });
});

describe("an install", () => {
  test("brings at most 40 packages and 30 MB", () => {
    const folders = productionFolders();
    expect(folders.length).toBeGreaterThan(5);
    expect(folders.length + 1).toBeLessThanOrEqual(40);
    const bytes = folders.reduce((sum, path) => sum + bytesOf(join(ROOT, path)), bytesOf(installed));
    expect(bytes).toBeGreaterThan(10e6);
    expect(bytes).toBeLessThanOrEqual(30e6);
  });

  test("runs no script of lossc's, nor of a package that it brings", () => {
    const hooks = ["preinstall", "install", "postinstall", "prepare"];
    expect(hooks.filter((name) => name in manifest.scripts)).toEqual([]);
    for (const [name, { dev, ...locked }] of Object.entries(lockedPackages()))
      if (!dev) expect("hasInstallScript" in locked, name).toBe(false);
  });

  test("is locked to no registry but npm's own", () => {
    for (const [name, { resolved = "https://registry.npmjs.org/" }] of Object.entries(lockedPackages()))
      expect(resolved, name).toMatch(/^https:\/\/registry\.npmjs\.org\//);
  });

  test("asks for nothing that no registry has", () => {
    expect(manifest.optionalDependencies).toBeUndefined();
    expect(Object.keys(manifest.dependencies).filter((name) => name.startsWith("@lossc/"))).toEqual([]);
  });
});
