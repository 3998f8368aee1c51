/** Which file an import of a user's file means. Pure but for looking whether files exist. */
import { realpathSync, statSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The extension that a TypeScript author writes in an import, and the extension of the file that exists. */
const WRITTEN_AS: Readonly<Record<string, readonly string[]>> = { ".js": [".ts"], ".mjs": [".mts"] };
const IMPLIED = [".ts", ".mts", ".js", ".mjs", "/index.ts", "/index.js"];

/** Files that the command line takes as ES modules. */
export const MODULE_EXTENSIONS: readonly string[] = [".ts", ".mts", ".js", ".mjs"];

export function isTypeScript(path: string): boolean {
  return extname(path) === ".ts" || extname(path) === ".mts";
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** `path` itself, else the file that an import of it means where TypeScript's habits are followed. */
function existing(path: string): string | undefined {
  if (isFile(path)) return path;
  const extension = extname(path);
  const stem = path.slice(0, path.length - extension.length);
  const candidates = [...(WRITTEN_AS[extension] ?? []).map((other) => stem + other), ...IMPLIED.map((end) => path + end)];
  return candidates.find(isFile);
}

/**
 * The URL of the module that `specifier` names by its place, relative or absolute; undefined where it names none that the
 * command line takes as an ES module, which leaves the matter to Node.
 */
export function resolveFile(specifier: string, parent: string | undefined): string | undefined {
  if (!/^(\.{0,2}\/|file:)/.test(specifier)) return undefined;
  const url = new URL(specifier, parent);
  if (url.protocol !== "file:") return undefined;
  const path = existing(fileURLToPath(url));
  if (path === undefined || !MODULE_EXTENSIONS.includes(extname(path))) return undefined;
  const resolved = pathToFileURL(realpathSync(path));
  if (LANGUAGE !== undefined && resolved.href.startsWith(LANGUAGE))
    return new URL(resolved.href.slice(SOURCES.length).replace(/ts$/, "js"), HERE).href;
  resolved.search = url.search;
  return resolved.href;
}

const HERE = new URL("../../", import.meta.url);
/** Where lossc was built from: the losses that ship with it import the language by its place, and mean the one that is running. */
const SOURCES = HERE.href.replace(/dist\/$/, "");
const LANGUAGE = HERE.href === SOURCES ? undefined : `${SOURCES}dsl/`;
/** The folder of the language that is running. */
const OWN_LANGUAGE = new URL("dsl/", HERE).href;

/** Whether a URL is a module of lossc's own language. */
export function isLanguage(url: string): boolean {
  return url.startsWith(OWN_LANGUAGE);
}

/** Modules of this package that other files may import while they are traced. */
const OWN: Readonly<Record<string, string>> = {
  lossc: new URL("index.js", HERE).href,
  "lossc/operators": new URL("dsl/operators.js", HERE).href,
};

/** The URL of lossc's own module of that name. There is one instance of lossc, whoever asks: an expression is known by its class. */
export function ownModule(specifier: string): string | undefined {
  return Object.hasOwn(OWN, specifier) ? OWN[specifier] : undefined;
}
