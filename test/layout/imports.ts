/** The import graph of the sources, read by TypeScript's parser: nothing is run. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SOURCES = ["index.ts", "dsl", "codegen", "runtime", "losses", "bench"];

/** How a file imports another: for its types too, when it is loaded, or by `import()` when it gets there. */
export type ImportKind = "type" | "static" | "dynamic";

export interface Import {
  readonly from: string;
  readonly to: string;
  readonly kind: ImportKind;
}

function filesIn(path: string): string[] {
  if (statSync(ROOT + path).isFile()) return path.endsWith(".ts") ? [path] : [];
  return readdirSync(ROOT + path).flatMap((name) => filesIn(`${path}/${name}`));
}

/** The names in a file's imports, as they are written there. */
export function importsIn(source: string, file = "file.ts"): { readonly specifier: string; readonly kind: ImportKind }[] {
  const found: { specifier: string; kind: ImportKind }[] = [];
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier !== undefined) {
      const kind = isTypeOnly(node) ? "type" : "static";
      found.push({ specifier: (node.moduleSpecifier as ts.StringLiteral).text, kind });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) {
      found.push({ specifier: node.argument.literal.text, kind: "type" });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [specifier] = node.arguments;
      if (specifier !== undefined && ts.isStringLiteralLike(specifier))
        found.push({ specifier: specifier.text, kind: "dynamic" });
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true));
  return found;
}

/** Whether nothing of it is left when it runs. */
function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  const named = ts.isImportDeclaration(node) ? node.importClause : node;
  if (named === undefined) return false;
  if (ts.isExportDeclaration(named)) {
    const { exportClause } = named;
    return named.isTypeOnly || (exportClause !== undefined && ts.isNamedExports(exportClause) && allTypes(exportClause.elements));
  }
  if (named.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const { namedBindings } = named;
  return (
    named.name === undefined &&
    namedBindings !== undefined &&
    ts.isNamedImports(namedBindings) &&
    allTypes(namedBindings.elements)
  );
}

const allTypes = (elements: readonly { readonly isTypeOnly: boolean }[]): boolean =>
  elements.length > 0 && elements.every((element) => element.isTypeOnly);

/** Every import of one source by another. */
export function sourceImports(): Import[] {
  const files = SOURCES.flatMap(filesIn);
  const known = new Set(files);
  return files.flatMap((from) =>
    importsIn(readFileSync(ROOT + from, "utf8"), from).flatMap(({ specifier, kind }) => {
      if (!specifier.startsWith(".")) return [];
      const to = posix.join(posix.dirname(from), specifier).replace(/\.js$/, ".ts");
      if (!known.has(to)) throw new Error(`${from} imports ${specifier}, and there is no ${to}`);
      return [{ from, to, kind }];
    }),
  );
}

/** Files that a file loads, itself among them, along the imports that are given. */
export function reachable(from: string, imports: readonly Import[]): Set<string> {
  const reached = new Set([from]);
  for (const file of reached) for (const one of imports) if (one.from === file) reached.add(one.to);
  return reached;
}

/** A way from a file back to itself, or undefined where the imports have none. */
export function circleIn(imports: readonly Import[]): string[] | undefined {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const walk = (file: string, way: readonly string[]): string[] | undefined => {
    const start = way.indexOf(file);
    if (start >= 0) return [...way.slice(start), file];
    if (done.has(file)) return undefined;
    for (const to of next.get(file) ?? []) {
      const circle = walk(to, [...way, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of next.keys()) {
    const circle = walk(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}
