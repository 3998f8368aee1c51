// npm run build: the TypeScript into dist/, then the addon into build/Release. `--addon` builds only the addon, `--sanitize` one with sanitizers into build/sanitize.
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);
const sanitize = process.argv.includes("--sanitize");

function run(script, args) {
  const { status, error } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function buildTypeScript() {
  run(require.resolve("typescript/bin/tsc"), ["-p", "tsconfig.build.json"]);
  const preludes = join(root, "codegen", "preludes");
  if (existsSync(preludes)) {
    mkdirSync(join(root, "dist", "codegen", "preludes"), { recursive: true });
    for (const file of readdirSync(preludes).filter((name) => name.endsWith(".h"))) {
      cpSync(join(preludes, file), join(root, "dist", "codegen", "preludes", file));
    }
  }
  const commandLine = join(root, "dist", "runtime", "cli", "main.js");
  if (existsSync(commandLine)) chmodSync(commandLine, 0o755);
}

/** Where losses with native operators lie. */
const LOSSES = ["losses", "bench"];

/** Operators of `*.loss.ts` are rewritten: what tsc, which has checked them, wrote of such a file is replaced. */
async function buildLosses() {
  const { isLossFile, rewriteLoss } = await import("../dist/codegen/operators/index.js");
  const files = LOSSES.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name)),
  );
  for (const file of files.filter(isLossFile)) {
    const source = join(root, file);
    const built = join(root, "dist", file.replace(/ts$/, "js"));
    // The losses are part of the package: they do not import it by its name.
    const operators = relative(dirname(built), join(root, "dist", "dsl", "operators.js")).replaceAll("\\", "/");
    const { code, map } = rewriteLoss(readFileSync(source, "utf8"), source, { operators });
    const sources = [relative(dirname(built), source).replaceAll("\\", "/")];
    writeFileSync(built, `${code}//# sourceMappingURL=${basename(built)}.map\n`);
    writeFileSync(`${built}.map`, JSON.stringify({ ...map, sources }));
  }
}

function answers(program) {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** What the addon needs of the system and does not find, as Debian packages. */
function missingPackages() {
  const missing = [];
  if (!answers("cmake")) missing.push("cmake");
  if (!["make", "ninja"].some(answers)) missing.push("make");
  // The compilers that cmake and cmake-js look for; CXX counts only together with one of them, for cmake-js insists.
  if (!["c++", "g++", "clang++"].some(answers)) missing.push("g++");
  return missing;
}

/** A checkout that was moved or copied together with its build folder: cmake refuses to go on with the configuration of another place. */
function dropForeignConfiguration(cache) {
  if (existsSync(cache) && !readFileSync(cache, "utf8").includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${root}\n`)) rmSync(cache);
}

function buildAddon() {
  const missing = missingPackages();
  if (missing.length > 0) {
    console.error(
      `lossc: the native addon was not built, for want of ${missing.join(" and ")} (apt-get install ${missing.join(" ")}); the device "reference" works without it.`,
    );
    return;
  }
  const out = join(root, "build", ...(sanitize ? ["sanitize"] : []));
  mkdirSync(out, { recursive: true });
  dropForeignConfiguration(join(out, "CMakeCache.txt"));
  run(join(dirname(require.resolve("cmake-js/package.json")), "bin", "cmake-js"), [
    "build",
    `--directory=${root}`,
    `--out=${out}`,
    `--parallel=${availableParallelism()}`,
    "--log-level=warn",
    "--prefer-make",
    `--CDLOSSC_SANITIZE=${sanitize ? "ON" : "OFF"}`,
  ]);
}

if (!process.argv.includes("--addon") && !sanitize) {
  buildTypeScript();
  await buildLosses();
}
buildAddon();
