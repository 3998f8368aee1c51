/** The modules of a build: the given files, what they import by place, and where each is written. */
import { readFile } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { framed } from "../../codegen/frame.js";
import { isLossFile, rewriteLoss } from "../../codegen/operators/index.js";
import { translate } from "../../codegen/operators/translate.js";
import { typescript } from "../../codegen/operators/typescript.js";
import { isLossDefinition, type LossDefinition } from "../../dsl/define-loss.js";
import { mistakeOf } from "../../dsl/definitions.js";
import { LosscError } from "../../dsl/errors.js";
import { loadModule } from "../modules/load.js";
import { isLanguage, resolveFile } from "../modules/resolve.js";
import type { Output } from "./output.js";

/** One file of the user's that is built. */
export interface SourceModule {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly source: string;
  /** The losses among its exports, by the names of these. */
  readonly losses: Readonly<Record<string, LossDefinition>>;
  /** Where it is written, relative to the folder of the build, with `/`, without an extension. */
  readonly output: string;
}

/** Folder of the binaries, relative to the folder of the build. */
export const KERNELS = "kernels";

/**
 * Loads the files (absolute paths without symbolic links) and what they import by place. `LOSS_UNKNOWN` where a file cannot be loaded, `USAGE` where
 * two would be written to one place.
 */
export async function collectModules(files: readonly string[]): Promise<SourceModule[]> {
  const found = new Map<string, Omit<SourceModule, "output">>();
  const queue = [...files];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    if (found.has(path)) continue;
    const exports = await loadModule(path);
    for (const value of Object.values(exports)) {
      const mistake = mistakeOf(value);
      if (mistake !== undefined) throw framed(mistake);
    }
    const source = await readFile(path, "utf8");
    const losses = Object.entries(exports).filter((entry): entry is [string, LossDefinition] => isLossDefinition(entry[1]));
    found.set(path, { path, source, losses: Object.fromEntries(losses) });
    for (const { url } of specifiers(source, path)) if (!isLanguage(url)) queue.push(fileURLToPath(url));
  }
  const root = commonFolder([...found.keys()]);
  const taken = new Map<string, string>();
  return [...found.values()].map((module) => {
    const place = relative(root, module.path).split(sep).join("/");
    // A file that was asked for loses the `.loss` of its name: it is an ordinary module now.
    const output = place.replace(files.includes(module.path) ? /(\.loss)?\.m?[jt]s$/ : /\.m?[jt]s$/, "");
    const other = taken.get(output);
    if (other !== undefined)
      throw new LosscError("USAGE", `${other} and ${module.path} would both be written to ${output}.js; rename one of them`);
    taken.set(output, module.path);
    return { ...module, output };
  });
}

/** Writes the JavaScript of a module and its source map. */
export async function writeModule(module: SourceModule, all: readonly SourceModule[], to: Output): Promise<void> {
  const { path, source, output, losses } = module;
  const target = join(to.folder, `${output}.js`);
  const clash = all.find((other) => other.path === target);
  if (clash)
    throw new LosscError("USAGE", `${clash.path} would be overwritten by what is built from ${path}; choose another --out`);
  const { code, map } = isLossFile(path) ? rewriteLoss(source, path) : translate(source, path);
  const lines = [renamed(code, module, all, "url").trimEnd()];
  // At the end, so that the map holds: imports run first wherever they stand.
  if (Object.keys(losses).length > 0) {
    let name = "registerBinaries";
    while (source.includes(name)) name = `_${name}`;
    const as = name === "registerBinaries" ? name : `registerBinaries as ${name}`;
    const kernels = `${"../".repeat(output.split("/").length - 1)}${KERNELS}/`;
    lines.push(`import { ${as} } from "lossc";`, `${name}(new URL(${JSON.stringify(kernels)}, import.meta.url));`);
  }
  if (map) {
    const sources = [asUrl(relative(dirname(target), path).split(sep).join("/"))];
    await to.write(`${output}.js.map`, JSON.stringify({ ...map, file: basename(target), sources }));
    lines.push(`//# sourceMappingURL=${encodeURIComponent(basename(target))}.map`);
  }
  await to.write(`${output}.js`, `${lines.join("\n")}\n`);
}

/** A path as a relative URL, in which these characters would mean something else or be dropped. */
function asUrl(path: string): string {
  return path.replace(/[%#?:\\\t\n\r]/g, encodeURIComponent);
}

/**
 * The text of a module or its declarations with every import by place naming the file that is built of it: by its URL where Node reads it, by its
 * path where TypeScript does.
 */
export function renamed(text: string, from: SourceModule, all: readonly SourceModule[], by: "url" | "path"): string {
  const places = new Map(all.map(({ path, output }) => [pathToFileURL(path).href, output]));
  return edited(
    text,
    specifiers(text, from.path).flatMap(({ start, end, url }) => {
      const place = isLanguage(url) ? "lossc" : places.get(url);
      if (place === undefined) return [];
      const path = relative(dirname(from.output), place).split(sep).join("/");
      const name = isLanguage(url) ? place : `${path.startsWith(".") ? "" : "./"}${path}.js`;
      return [{ start, end, text: JSON.stringify(by === "url" ? asUrl(name) : name) }];
    }),
  );
}

/** A piece of a text and what stands there instead. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The text with pieces replaced. */
export function edited(text: string, edits: readonly Edit[]): string {
  let result = text;
  for (const edit of [...edits].sort((a, b) => b.start - a.start))
    result = result.slice(0, edit.start) + edit.text + result.slice(edit.end);
  return result;
}

interface Specifier {
  /** Of the literal with its quotes. */
  readonly start: number;
  readonly end: number;
  /** The module that is meant. */
  readonly url: string;
}

/** Relative imports of a file, those of types included. */
function specifiers(text: string, path: string): Specifier[] {
  const parent = pathToFileURL(path).href;
  return typescript()
    .preProcessFile(text, true, true)
    .importedFiles.flatMap(({ fileName, pos }) => {
      const url = resolveFile(fileName, parent);
      // TypeScript says where a literal starts, and its value, which may be written in another way.
      const [literal = ""] = /^(["'`])(?:\\.|(?!\1).)*\1/s.exec(text.slice(pos)) ?? [];
      return url === undefined || literal === "" ? [] : [{ start: pos, end: pos + literal.length, url }];
    });
}

/** The folder that holds all of the files. */
function commonFolder(paths: readonly string[]): string {
  const [first = [], ...others] = paths.map((path) => dirname(path).split(sep));
  const depth = first.findIndex((part, i) => others.some((parts) => parts[i] !== part));
  return (depth < 0 ? first : first.slice(0, depth)).join(sep) || sep;
}
