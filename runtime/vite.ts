/** The plugin for Vite and Vitest: `plugins: [lossc()]` rewrites the operators of every `*.loss.ts` (or `.mts`, `.js`, `.mjs`) that is imported. */

import { isLossFile, type RewriteOptions, rewriteLoss, type SourceMap } from "../codegen/operators/index.js";
import { mapStacks } from "../dsl/copies.js";

/** The part of Vite's plugin interface that this plugin implements. */
export interface LosscPlugin {
  readonly name: "lossc";
  /** Before TypeScript is translated. */
  readonly enforce: "pre";
  /** Where Vite loads a file itself (`ssrLoadModule`), places on a stack are those of its own text: only the server knows the way to the source. */
  configureServer(server: { ssrRewriteStacktrace(stack: string): string }): void;
  buildEnd(): void;
  transform(code: string, id: string): { readonly code: string; readonly map: SourceMap } | null;
}

export default function lossc(options?: RewriteOptions): LosscPlugin {
  let forget = () => {};
  return {
    name: "lossc",
    enforce: "pre",
    configureServer(server) {
      forget();
      forget = mapStacks((stack) => server.ssrRewriteStacktrace(stack));
    },
    // A server that is closed ends what it has built.
    buildEnd: () => forget(),
    transform(source, id) {
      const path = id.replace(/[?#].*$/s, "");
      if (!isLossFile(path)) return null;
      const { code, map } = rewriteLoss(source, path, options);
      // Vite takes the names of sources for paths.
      return map && { code, map: { ...map, sources: [path] } };
    },
  };
}
