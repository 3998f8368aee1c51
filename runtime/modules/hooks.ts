/**
 * The module hooks for files that the command line loads: `lossc` means the lossc that is running, TypeScript is translated, and
 * files are ES modules under every package.json. Neither hook looks at what Node's own returns, so that the same two functions
 * serve `registerHooks` (synchronous, in this thread) and `register` (Node 20, in a thread of their own).
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isLossFile } from "../../codegen/operators/index.js";
import { isTypeScript, ownModule, resolveFile } from "./resolve.js";
import { transform } from "./transform.js";

interface ResolveContext {
  readonly conditions?: readonly string[];
  readonly parentURL?: string | undefined;
}

interface LoadContext {
  readonly format?: string | null | undefined;
}

type Next<Context> = (name: string, context: Context) => unknown;

const HERE = new URL("../../", import.meta.url).href;

/** Files that are not the user's: those of this package and of installed packages. */
function isForeign(url: string | undefined): boolean {
  return url === undefined || url.startsWith(HERE) || url.includes("/node_modules/");
}

export function resolve(specifier: string, context: ResolveContext, next: Next<ResolveContext>): unknown {
  const own = ownModule(specifier);
  if (own !== undefined) return { url: own, format: "module", shortCircuit: true };
  const absolute = specifier.startsWith("file:");
  const imported = context.conditions?.includes("import") !== false;
  const url = imported && (absolute || !isForeign(context.parentURL)) ? resolveFile(specifier, context.parentURL) : undefined;
  return url === undefined ? next(specifier, context) : { url, format: "module", shortCircuit: true };
}

export function load(url: string, context: LoadContext, next: Next<LoadContext>): unknown {
  const path = url.startsWith("file:") && context.format === "module" ? fileURLToPath(url) : "";
  return isTypeScript(path) || (isLossFile(path) && !isForeign(url))
    ? { format: "module", source: transform(readFileSync(path, "utf8"), path), shortCircuit: true }
    : next(url, context);
}
