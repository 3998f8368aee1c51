/** Running a user's file. */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import nodeModule from "node:module";
import { extname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { withFrame } from "../../codegen/frame.js";
import { LosscError } from "../../dsl/errors.js";
import { thrownPosition } from "../../dsl/position.js";
import * as hooks from "./hooks.js";
import { MODULE_EXTENSIONS } from "./resolve.js";
import { transform } from "./transform.js";

/** Newer Node has hooks in the same thread and takes `register` away; the types are of the oldest Node that we support. */
const { registerHooks } = nodeModule as { registerHooks?: (functions: typeof hooks) => unknown };

let installed = false;

async function install(): Promise<void> {
  if (installed) return;
  installed = true;
  // Positions of mistakes are read from stacks, and are to name the user's line rather than the translated one. What was loaded before
  // keeps its own places on the stack: lossc looks for itself there, to tell its frames from the user's.
  await import("../../index.js");
  process.setSourceMapsEnabled(true);
  if (registerHooks !== undefined) registerHooks({ resolve: hooks.resolve, load: hooks.load });
  else nodeModule.register("./hooks.js", import.meta.url);
}

/**
 * Imports the user's file at an absolute path and gives its exports. Whatever keeps it from running is a `LosscError`: `LOSS_UNKNOWN`
 * where there is no such file or it throws, `UNSUPPORTED_SYNTAX` where it cannot be read.
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
    return (await import(pathToFileURL(realpathSync(path)).href)) as Record<string, unknown>;
  } catch (error) {
    return withFrame(() => {
      throw asLosscError(path, error);
    });
  }
}

/** What the user's module threw, or the hooks, or Node while it linked the module. */
function asLosscError(path: string, error: unknown): LosscError {
  if (error instanceof LosscError) return error;
  // From hooks in a thread of their own an error arrives with its properties, but without its class.
  if (error instanceof Error && error.name === "LosscError") {
    const { code, message, position } = error as LosscError;
    return new LosscError(code, message, { position });
  }
  const position = thrownPosition(error, [PACKAGE]);
  // V8 says what is wrong with the syntax of plain JavaScript, but not always where: TypeScript's parser does.
  if (error instanceof SyntaxError && position === undefined) {
    try {
      transform(readFileSync(path, "utf8"), path);
    } catch (better) {
      if (better instanceof LosscError) return better;
    }
  }
  const thrown = error instanceof Error ? `${error.name}: ${error.message}` : inspect(error);
  return new LosscError("LOSS_UNKNOWN", `${path} could not be loaded: ${thrown}`, { cause: error, position });
}

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));
