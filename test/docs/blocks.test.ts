/** The code of the documentation passes tsc as strictly as our own, and its losses compile. */
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { isLossDefinition } from "../../dsl/index.js";
import { blocks, lossBlocks, ROOT, run } from "./blocks.js";

const written = blocks.filter(({ language }) => language === "ts");

describe("the documentation", () => {
  test("has its blocks found", () => {
    expect(written.length).toBeGreaterThan(25);
    expect(new Set(written.map(({ file }) => file)).size).toBe(written.length);
    expect(blocks.filter(({ language }) => language === "typescript")).toEqual([]);
  });

  test("passes tsc", () => {
    const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile) as { config: { compilerOptions: object } };
    const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ROOT);
    const texts = new Map(written.map(({ file, known, code }) => [file, `${known.replace(/\n/g, " ")}\n${code}\nexport {};\n`]));
    const folders = new Set([...texts.keys()].map((file) => file.slice(0, file.lastIndexOf("/"))));
    const host = ts.createCompilerHost(options);
    const { getSourceFile, fileExists, readFile, directoryExists } = host;
    host.getSourceFile = (name, version, ...more) => {
      const text = texts.get(name);
      return text === undefined ? getSourceFile(name, version, ...more) : ts.createSourceFile(name, text, version);
    };
    host.fileExists = (name) => texts.has(name) || fileExists(name);
    host.readFile = (name) => texts.get(name) ?? readFile(name);
    host.directoryExists = (name) => folders.has(name) || (directoryExists?.(name) ?? true);
    const paths = { lossc: [`${ROOT}index.ts`], "lossc/vite": [`${ROOT}runtime/vite.ts`] };
    const program = ts.createProgram([...texts.keys()], { ...options, paths }, host);
    const found = [...texts.keys()].flatMap((file) => {
      const source = program.getSourceFile(file);
      const { where } = written.find((block) => block.file === file) ?? { where: "?" };
      return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
        ({ start = 0, messageText }) => {
          const line = (source?.text.slice(0, start).split("\n").length ?? 0) - 1;
          return `${where} + ${line}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
        },
      );
    });
    expect(found).toEqual([]);
  });

  test.each(lossBlocks.map((block) => [block.where, block] as const))("has a loss that compiles at %s", (_, block) => {
    for (const made of Object.values(run(block)).filter(isLossDefinition)) {
      expect(compilePlan({ loss: made, logits: "bf16" }).plan.kernels.length).toBeGreaterThan(0);
    }
  });
});
