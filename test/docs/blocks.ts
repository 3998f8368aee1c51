/** The code of the documentation: README.md and docs/*.md, block by block. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rewriteLoss } from "../../codegen/operators/index.js";
import { typescript } from "../../codegen/operators/typescript.js";
import * as operators from "../../dsl/operators.js";
import * as lossc from "../../index.js";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Block {
  /** The page and the line on which its code begins. */
  readonly where: string;
  readonly language: string;
  /** As a file in a folder of the page's own; blocks that begin with `// NAME.ts` can be imported by others of the page. */
  readonly file: string;
  /** Declarations that the page leaves out: `<!-- ts: declare … -->` above the block. */
  readonly known: string;
  readonly code: string;
}

const PAGES = ["README.md", ...readdirSync(`${ROOT}docs`).map((name) => `docs/${name}`)].filter((name) => name.endsWith(".md"));
const BLOCK = /(?:^<!-- ts: ([\s\S]*?) -->\n+)?^```(\w+)( loss)?\n([\s\S]*?)^```$/gm;

export const blocks: readonly Block[] = PAGES.flatMap((page) => {
  const text = readFileSync(ROOT + page, "utf8");
  return [...text.matchAll(BLOCK)].map(([whole, known = "", language = "", loss, code = ""], i) => {
    const index = text.indexOf(whole) + whole.lastIndexOf(code);
    const name = /^\/\/ (\S+)\.ts$/m.exec(code.slice(0, code.indexOf("\n")))?.[1] ?? `block${i}${loss ? ".loss" : ""}`;
    const folder = page.replace(/^docs\/|\.md$/g, "").toLowerCase();
    const line = text.slice(0, index).split("\n").length;
    return { where: `${page}:${line}`, language, file: `${ROOT}test/docs/pages/${folder}/${name}.ts`, known, code };
  });
});

export const lossBlocks = blocks.filter(({ file, language }) => language === "ts" && file.endsWith(".loss.ts"));

/** The exports of a block with native operators, after its run. */
export function run({ code, file }: Block): Readonly<Record<string, unknown>> {
  const ts = typescript();
  const rewritten = rewriteLoss(code, file).code;
  const { outputText } = ts.transpileModule(rewritten, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const modules: Readonly<Record<string, unknown>> = { lossc, "lossc/operators": operators };
  const exports: Record<string, unknown> = {};
  new Function("exports", "require", outputText)(exports, (name: string) => modules[name]);
  return exports;
}
