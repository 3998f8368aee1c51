/** Runs text in both ways: as JavaScript has it, and rewritten. */
import { rewriteLoss } from "../../codegen/operators/index.js";
import { translate } from "../../codegen/operators/translate.js";
import * as operators from "../../dsl/operators.js";

const IMPORT = /^\/\* rewritten by lossc \*\/\nimport \* as (\w+) from "lossc\/operators";\n\w+\.rewritten\(\d+, \d+\);\n/;
/** A module without imports and exports says that it is one. */
const EMPTY = /^export \{\};\n/m;

/** The rewritten text without the import of the helpers, which are named `$` here. */
export function rewrittenText(source: string): string {
  const { code } = rewriteLoss(source, "/some.loss.ts");
  const name = IMPORT.exec(code)?.[1];
  if (name === undefined) throw new Error(`this does not begin as a rewritten file does:\n${code}`);
  return code.replace(IMPORT, "").replace(EMPTY, "").replaceAll(`${name}.`, "$.").trimEnd();
}

export type Scope = Readonly<Record<string, unknown>>;

/** The value of `name` after the text has run, its operators rewritten. */
export function runRewritten(source: string, name: string, scope: Scope = {}): unknown {
  return new Function("$", ...Object.keys(scope), `"use strict";\n${rewrittenText(source)}\nreturn ${name};`)(
    operators,
    ...Object.values(scope),
  );
}

/** The same, its operators JavaScript's own. */
export function runNative(source: string, name: string, scope: Scope = {}): unknown {
  const { code } = translate(source, "/some.ts");
  return new Function(...Object.keys(scope), `"use strict";\n${code.replace(EMPTY, "")}\nreturn ${name};`)(
    ...Object.values(scope),
  );
}
