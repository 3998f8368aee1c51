/**
 * The front end of `*.loss.ts`: native operators become calls of helpers (`dsl/operators.ts`), which apply JavaScript's own operator unless an
 * operand is an expression of the loss. Purely syntactic: types are never consulted.
 */
import { REWRITTEN, rewriter } from "./rewrite.js";
import type { SourceMap } from "./source-map.js";
import { translate } from "./translate.js";

export { isLossFile } from "../../dsl/rewritten.js";
export type { SourceMap } from "./source-map.js";

export interface RewriteOptions {
  /** Where the rewritten file imports the helpers from: `lossc/operators` unless it lies in lossc itself. */
  readonly operators?: string;
}

export interface RewrittenLoss {
  /** An ES module in JavaScript, without a reference to its map. */
  readonly code: string;
  /** From `code` back to the file; null where there was nothing to rewrite, since it was rewritten before. */
  readonly map: SourceMap | null;
}

/**
 * Rewrites the operators of a `*.loss.ts` (or `.mts`, `.js`, `.mjs`) and translates it into JavaScript. A file that was rewritten before comes back
 * as it is.
 *
 * @throws LosscError `UNSUPPORTED_SYNTAX` with its position where the text is no TypeScript.
 */
export function rewriteLoss(source: string, path: string, { operators = "lossc/operators" }: RewriteOptions = {}): RewrittenLoss {
  if (source.includes(REWRITTEN)) return { code: source, map: null };
  return translate(source, path, [rewriter(operators)]);
}
