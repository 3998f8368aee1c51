// How cmake compiles the addon, in a checkout (scripts/build.mjs) and in an installed package (`lossc build-addon`) alike. What it includes, two
// packages of headers, is installed with lossc, so that nothing is downloaded.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of lossc's `package.json`. */
const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The same search as lossc's own. A relative entry of $PATH would depend on the working directory, so it is skipped. */
const env = { ...process.env, PATH: (process.env.PATH ?? "").split(delimiter).filter(isAbsolute).join(delimiter) };

function answers(program) {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore", env });
    return true;
  } catch {
    return false;
  }
}

/** System packages that the addon needs and that are missing, by their Debian names. */
export function missingPackages() {
  const missing = [];
  if (!answers("cmake")) missing.push("cmake");
  if (!["make", "ninja"].some(answers)) missing.push("make");
  // The compilers that cmake looks for by itself, and the one that $CXX names.
  if (![process.env.CXX, "c++", "g++", "clang++"].some((name) => name && answers(name))) missing.push("g++");
  return missing;
}

/** The folders with the headers of Node-API and of its C++ wrapper. */
function headers() {
  const require = createRequire(import.meta.url);
  const folder = (name) => dirname(require.resolve(`${name}/package.json`));
  return [join(folder("node-api-headers"), "include"), folder("node-addon-api")];
}

/**
 * cmake refuses to go on with the configuration of another place, as of a checkout that was moved together with its build folder, and with that of
 * another generator.
 */
function dropForeignConfiguration(out, generator) {
  const cache = join(out, "CMakeCache.txt");
  if (!existsSync(cache)) return;
  const text = readFileSync(cache, "utf8");
  const own = [
    `CMAKE_HOME_DIRECTORY:INTERNAL=${root}\n`,
    `CMAKE_CACHEFILE_DIR:INTERNAL=${out}\n`,
    `CMAKE_GENERATOR:INTERNAL=${generator}\n`,
  ];
  if (own.every((line) => text.includes(line))) return;
  rmSync(cache);
  rmSync(join(out, "CMakeFiles"), { recursive: true, force: true });
}

/**
 * The arguments of consecutive runs of cmake that build `Release/lossc.node` and `lossc-guard` in the folder `out` (absolute, made where it is
 * missing).
 */
export function cmakeRuns(out, { sanitize = false } = {}) {
  const generator = answers("make") ? "Unix Makefiles" : "Ninja";
  mkdirSync(out, { recursive: true });
  dropForeignConfiguration(out, generator);
  const settings = {
    CMAKE_BUILD_TYPE: "Release",
    LOSSC_NODE_HEADERS: headers().join(";"),
    LOSSC_SANITIZE: sanitize ? "ON" : "OFF",
  };
  const definitions = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
  return [
    ["-S", root, "-B", out, "-G", generator, "--log-level=WARNING", ...definitions],
    ["--build", out, "--parallel", String(availableParallelism())],
  ];
}
