/** Running a user's file. */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import nodeModule from "node:module";
import { extname } from "node:path";
import { pathToFileURL } from "node:url";
import { framed } from "../../codegen/frame.js";
import { putMistakesOff } from "../../dsl/definitions.js";
import { ERROR_CODES, LosscError } from "../../dsl/errors.js";
import { nearest } from "../../dsl/nearest.js";
import { thrownText } from "../../dsl/thrown.js";
import * as hooks from "./hooks.js";
import { loadedFiles, userPosition } from "./loaded.js";
import { MODULE_EXTENSIONS, ownModule } from "./resolve.js";
import { transform } from "./transform.js";

/** Newer Node has hooks in the same thread and takes `register` away; the types are of the oldest Node that we support. */
const { registerHooks } = nodeModule as { registerHooks?: (functions: typeof hooks) => unknown };

let installed = false;

async function install(): Promise<void> {
  if (installed) return;
  installed = true;
  putMistakesOff();
  // Positions of mistakes are read from stacks, and are to name the user's line rather than the translated one. What was loaded before
  // keeps its own places on the stack: lossc looks for itself there, to separate its frames from the user's.
  await import("../../index.js");
  process.setSourceMapsEnabled(true);
  if (registerHooks !== undefined) registerHooks({ resolve: hooks.resolve, load: hooks.load });
  else nodeModule.register("./hooks.js", import.meta.url);
}

/**
 * Imports the user's file at an absolute path and gives its exports. Every failure is a `LosscError`: `LOSS_UNKNOWN`
 * where there is no such file, or it throws or waits for what never comes; `UNSUPPORTED_SYNTAX` where it cannot be read.
 */
export async function loadModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  if (!existsSync(path)) throw new LosscError("LOSS_UNKNOWN", `there is no file ${path}`);
  if (!MODULE_EXTENSIONS.includes(extname(path))) {
    throw new LosscError(
      "LOSS_UNKNOWN",
      `${path} is no TypeScript or JavaScript module: its name ends in none of ${MODULE_EXTENSIONS.join(" ")}`,
    );
  }
  await install();
  try {
    if (!loadedFiles.includes(path)) loadedFiles.push(path);
    return await orStalled(path, import(pathToFileURL(realpathSync(path)).href) as Promise<Record<string, unknown>>);
  } catch (error) {
    throw framed(await asLosscError(path, error));
  }
}

/** Rejects where the module waits at its top level and nothing is left that could happen: Node would end the process. */
async function orStalled<T>(path: string, module: Promise<T>): Promise<T> {
  let stalled = () => {};
  const never = new Promise<never>((_, reject) => {
    stalled = () =>
      reject(new LosscError("LOSS_UNKNOWN", `${path} could not be loaded: it awaits at its top level what never comes`));
  });
  process.once("beforeExit", stalled);
  try {
    return await Promise.race([module, never]);
  } finally {
    process.off("beforeExit", stalled);
  }
}

/** The error of the user's module, of the hooks, or of Node while it linked the module. */
async function asLosscError(path: string, error: unknown): Promise<LosscError> {
  if (error instanceof LosscError) return error;
  // From hooks in a thread of their own an error arrives with its properties, but without its class.
  if (error instanceof Error && error.name === "LosscError") {
    const { code, message, position } = error as LosscError;
    if (ERROR_CODES.includes(code)) return new LosscError(code, message, { position });
  }
  const position = userPosition(error);
  // V8 says what is wrong with the syntax of plain JavaScript, but not always where: TypeScript's parser does.
  if (error instanceof SyntaxError && position === undefined) {
    try {
      transform(readFileSync(path, "utf8"), path);
    } catch (better) {
      if (better instanceof LosscError) return better;
    }
  }
  const meant = error instanceof SyntaxError ? await meantExport(error.message) : "";
  return new LosscError("LOSS_UNKNOWN", `${path} could not be loaded: ${thrownText(error)}${meant}`, { cause: error, position });
}

/** The export of lossc that was meant, where V8 says that there is none of a name. */
async function meantExport(message: string): Promise<string> {
  const [, specifier = "", name = ""] =
    /^The requested module '(.+)' does not provide an export named '(.+)'$/.exec(message) ?? [];
  const own = ownModule(specifier);
  if (own === undefined) return "";
  const names = Object.keys((await import(own)) as object);
  return nearest(name, names) || "; docs/language.md lists what lossc has";
}
