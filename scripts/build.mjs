// npm run build: the TypeScript into dist/, then the addon into build/Release. `--addon` builds only the addon, `--sanitize` one with sanitizers into
// build/sanitize.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { cmakeRuns, missingPackages } from "./addon.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const sanitize = process.argv.includes("--sanitize");

function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function buildTypeScript() {
  // Outputs of deleted sources are removed, or they would be packed.
  rmSync(join(root, "dist"), { recursive: true, force: true });
  run(process.execPath, [createRequire(import.meta.url).resolve("typescript/bin/tsc"), "-p", "tsconfig.build.json"]);
  const preludes = join(root, "codegen", "preludes");
  const isHeader = (path) => path.endsWith(".h") || statSync(path).isDirectory();
  cpSync(preludes, join(root, "dist", "codegen", "preludes"), { recursive: true, filter: isHeader });
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
    writeFileSync(built, rewriteLoss(readFileSync(source, "utf8"), source, { operators }).code);
  }
}

function buildNative() {
  const missing = missingPackages();
  if (missing.length > 0) {
    console.error(
      `lossc: the native addon was not built, for want of ${missing.join(" and ")} (apt-get install ${missing.join(" ")}); the device "reference" works without it.`,
    );
    return;
  }
  for (const args of cmakeRuns(join(root, "build", ...(sanitize ? ["sanitize"] : [])), { sanitize })) run("cmake", args);
}

if (!process.argv.includes("--addon") && !sanitize) {
  buildTypeScript();
  await buildLosses();
}
buildNative();
