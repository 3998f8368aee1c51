/** From one TypeScript file to the ES module that runs. */
import { pathToFileURL } from "node:url";
import type { ts } from "ts-morph";
import { LosscError, type SourcePosition } from "../../dsl/errors.js";
import type { SourceMap } from "./source-map.js";
import { typescript } from "./typescript.js";

export interface Translated {
  /** JavaScript, without a reference to its map. */
  readonly code: string;
  readonly map: SourceMap;
}

/**
 * Translates TypeScript (or JavaScript) into an ES module, through `transformers` on the way. A mistake in the syntax is `UNSUPPORTED_SYNTAX` with
 * its position.
 */
export function translate(
  source: string,
  path: string,
  transformers: readonly ts.TransformerFactory<ts.SourceFile>[] = [],
): Translated {
  const ts = typescript();
  const { outputText, sourceMapText, diagnostics } = ts.transpileModule(source, {
    fileName: path,
    reportDiagnostics: true,
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      moduleDetection: ts.ModuleDetectionKind.Force,
      target: ts.ScriptTarget.ES2022,
      sourceMap: true,
      inlineSources: true,
    },
    transformers: { before: [...transformers] },
  });
  for (const diagnostic of diagnostics ?? []) {
    if (diagnostic.category !== ts.DiagnosticCategory.Error || diagnostic.file === undefined) continue;
    const { line, character } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
    const position: SourcePosition = { file: path, line: line + 1, column: character + 1 };
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ");
    throw new LosscError("UNSUPPORTED_SYNTAX", `the file cannot be read as TypeScript: ${message}`, { position });
  }
  // The map names its source by a URL of its own, since a name with `#` or `%` would not survive being resolved as a relative one.
  const map = { ...(JSON.parse(sourceMapText ?? "{}") as SourceMap), sources: [pathToFileURL(path).href] };
  return { code: outputText.replace(/^\/\/# sourceMappingURL=.*$/m, ""), map };
}

/** The code with its map inside, so that stacks point into the source. */
export function withInlineMap({ code, map }: { readonly code: string; readonly map: SourceMap | null }): string {
  if (map === null) return code;
  const encoded = Buffer.from(JSON.stringify(map)).toString("base64");
  return `${code}//# sourceMappingURL=data:application/json;base64,${encoded}\n`;
}
