/**
 * From a user's file to the JavaScript that Node runs: operators of `*.loss.ts` are rewritten, TypeScript is translated. This is the one place that
 * sees the text of a user's file before it runs.
 */
import { isLossFile, rewriteLoss } from "../../codegen/operators/index.js";
import { translate, withInlineMap } from "../../codegen/operators/translate.js";

/**
 * The ES module that a file stands for, with an inline source map, so that stacks point into the user's file. A mistake in the syntax is
 * `UNSUPPORTED_SYNTAX` with its position.
 */
export function transform(source: string, path: string): string {
  return withInlineMap(isLossFile(path) ? rewriteLoss(source, path) : translate(source, path));
}
