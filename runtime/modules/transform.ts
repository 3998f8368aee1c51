/**
 * From a user's TypeScript to the JavaScript that Node runs. This is the one place that sees the text of a user's file before it
 * runs: a front end that rewrites `*.loss.ts` belongs between the check of the syntax and the translation.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { LosscError, type SourcePosition } from "../../dsl/errors.js";

const require = createRequire(import.meta.url);

/**
 * Translates one TypeScript file into an ES module with an inline source map, so that stacks point into the user's file.
 * A mistake in the syntax is `UNSUPPORTED_SYNTAX` with its position.
 */
export function transform(source: string, path: string): string {
  // The compiler takes most of a second to load: nobody pays for it who brings no TypeScript.
  const { ts } = require("ts-morph") as typeof import("ts-morph");
  const { outputText, sourceMapText, diagnostics } = ts.transpileModule(source, {
    fileName: path,
    reportDiagnostics: true,
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, sourceMap: true, inlineSources: true },
  });
  for (const diagnostic of diagnostics ?? []) {
    if (diagnostic.category !== ts.DiagnosticCategory.Error || diagnostic.file === undefined) continue;
    const { line, character } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
    const position: SourcePosition = { file: path, line: line + 1, column: character + 1 };
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ");
    throw new LosscError("UNSUPPORTED_SYNTAX", `the file cannot be read as TypeScript: ${message}`, { position });
  }
  // The map names its source by a URL of its own, since a name with `#` or `%` would not survive being resolved as a relative one.
  const map = { ...(JSON.parse(sourceMapText ?? "{}") as Record<string, unknown>), sources: [pathToFileURL(path).href] };
  const encoded = Buffer.from(JSON.stringify(map)).toString("base64");
  return `${outputText.replace(/^\/\/# sourceMappingURL=.*$/m, "")}//# sourceMappingURL=data:application/json;base64,${encoded}\n`;
}
