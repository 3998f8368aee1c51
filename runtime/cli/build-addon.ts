/** `lossc build-addon`: the addon of an installed package, compiled where it is to run. An install itself builds nothing. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { LosscError } from "../../dsl/errors.js";
import { addonFolder, load, packageRoot } from "../addon/addon.js";
import { runProgram } from "../compilers/process.js";
import type { OwnFolder } from "../files/own-folder.js";
import { makeTemporaryFolder } from "../files/temporaries.js";
import { writeAside } from "../files/user-files.js";
import { write } from "./stream.js";
import { usage } from "./usage.js";

/** The exports of `scripts/addon.mjs`, plain JavaScript because a checkout needs it before anything is built. */
interface AddonScript {
  missingPackages(): string[];
  cmakeRuns(out: string): string[][];
}

/**
 * Compiles the addon into the package, or into the folder `out`, and prints its path. It is put into place when it is whole.
 *
 * @throws LosscError `COMPILER_NOT_FOUND` with the missing tools, `COMPILE_FAILED` with the compiler's output, `USAGE` where the folder cannot be
 *   written.
 */
export async function buildAddon({ out }: { readonly out?: string }): Promise<void> {
  const script = pathToFileURL(join(packageRoot(), "scripts", "addon.mjs")).href;
  const { missingPackages, cmakeRuns } = (await import(script)) as AddonScript;
  const missing = missingPackages();
  if (missing.length > 0)
    throw new LosscError("COMPILER_NOT_FOUND", `the addon is compiled with cmake, make and a C++ compiler: ${howToAdd(missing)}`);
  const folder = out === undefined ? addonFolder() : resolve(out);
  prepare(folder, out === undefined);
  const work = workFolder();
  const built = work.at("Release");
  try {
    process.stderr.write("lossc: compiling the addon; that takes about a minute of one core\n");
    for (const args of cmakeRuns(work.at())) {
      const { status, output } = await runProgram("cmake", args, { cwd: work.at() });
      if (status !== 0) throw new LosscError("COMPILE_FAILED", "the addon was not compiled: cmake failed", { log: output });
    }
    const attempt = load(join(built, "lossc.node"));
    if ("problem" in attempt) throw new LosscError("COMPILE_FAILED", attempt.problem);
    for (const name of readdirSync(built)) await putInto(folder, join(built, name), name);
  } finally {
    work.destroy();
  }
  const path = join(folder, "lossc.node");
  if (out !== undefined) process.stderr.write(`lossc: it is found where the environment has LOSSC_ADDON=${path}\n`);
  await write(`${path}\n`);
}

function howToAdd(missing: readonly string[]): string {
  const names = `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} missing`;
  if (process.platform === "darwin") return `${names} (xcode-select --install; brew install cmake)`;
  return `${names} (Debian, Ubuntu: apt-get install ${missing.join(" ")}; Alpine: apk add ${missing.join(" ")})`;
}

/** A folder that no other user can exchange: cmake and make work by its path, and the addon that they make is loaded. */
function workFolder(): OwnFolder {
  try {
    return makeTemporaryFolder(tmpdir(), "lossc-addon-", { isExchangeable: false });
  } catch (cause) {
    throw usage(
      `the addon cannot be compiled in ${tmpdir()} (${(cause as Error).message}): name another folder for temporary files in $TMPDIR`,
      cause,
    );
  }
}

/** Makes the folder, and tries whether it can be written: before minutes are spent. */
function prepare(folder: string, own: boolean): void {
  try {
    mkdirSync(folder, { recursive: true });
    rmdirSync(mkdtempSync(join(folder, "lossc-addon-")));
  } catch (cause) {
    const way = own
      ? "give another folder (lossc build-addon --out FOLDER), and name FOLDER/lossc.node in $LOSSC_ADDON where lossc runs"
      : "give another";
    throw usage(`${folder} cannot be written (${(cause as Error).message}): ${way}`, cause);
  }
}

/** Under another name first, for a process may have the old one open. */
async function putInto(folder: string, from: string, name: string): Promise<void> {
  await writeAside(join(folder, name), "the addon", async (file) => {
    await file.writeFile(readFileSync(from));
    await file.chmod(statSync(from).mode & 0o777);
  });
}
