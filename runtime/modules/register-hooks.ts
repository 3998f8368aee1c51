/** The module hooks behind `lossc/register`. They serve `registerHooks` (synchronous) and `register` (Node 20, in a thread of their own) alike. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isLossFile } from "../../codegen/operators/index.js";
import { isTypeScript, ownModule, resolveFile } from "./resolve.js";
import { transform } from "./transform.js";

type Next<Context> = (name: string, context: Context) => unknown;

const HERE = new URL("../../", import.meta.url).href;

/** The result of `attempt`, or of `otherwise` with its failure. Either may return a promise. */
function orElse(attempt: () => unknown, otherwise: (error: unknown) => unknown): unknown {
  try {
    const result = attempt();
    return result instanceof Promise ? result.catch(otherwise) : result;
  } catch (error) {
    return otherwise(error);
  }
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? "");
}

export function resolve(
  specifier: string,
  context: { readonly parentURL?: string | undefined },
  next: Next<typeof context>,
): unknown {
  const own = ownModule(specifier);
  if (own !== undefined) return { url: own, format: "module", shortCircuit: true };
  return orElse(
    () => next(specifier, context),
    (error) => {
      const url = hasCode(error, "ERR_MODULE_NOT_FOUND", "ERR_UNSUPPORTED_DIR_IMPORT")
        ? resolveFile(specifier, context.parentURL)
        : undefined;
      if (url === undefined) throw error;
      return { url, shortCircuit: true };
    },
  );
}

export function load(url: string, context: { readonly format?: string | null | undefined }, next: Next<typeof context>): unknown {
  const path = url.startsWith("file:") ? fileURLToPath(url) : "";
  const translated = () => ({ format: "module", source: transform(readFileSync(path, "utf8"), path), shortCircuit: true });
  // Of an installed package the losses are built already.
  if (isLossFile(path) && !url.startsWith(HERE) && !url.includes("/node_modules/")) return translated();
  return orElse(
    () => next(url, context),
    (error) => {
      if (!isTypeScript(path) || !hasCode(error, "ERR_UNKNOWN_FILE_EXTENSION")) throw error;
      return translated();
    },
  );
}
