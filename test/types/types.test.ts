/** The messages of an editor for calls and definitions: TypeScript, strict, over fixtures that say which messages they expect. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FOLDER = `${ROOT}test/types/fixtures/`;
const EXPECTED = /^\s*\/\/ @ts-expect-error (.*)$/;
/** Characters of a line of a message, at most: what is longer is not read. */
const READABLE = 350;

const texts = new Map(readdirSync(FOLDER).map((name) => [FOLDER + name, readFileSync(FOLDER + name, "utf8")]));

/** Messages by file and line, each as its lines from the outermost to the innermost. */
function diagnose(): Map<string, string[][]> {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ROOT);
  expect(options).toMatchObject({ strict: true, exactOptionalPropertyTypes: true });
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (name, version, ...more) => {
    // Without the directive the message comes out.
    const text = texts.get(name)?.replaceAll("@ts-expect-error", "expects");
    return text === undefined ? getSourceFile(name, version, ...more) : ts.createSourceFile(name, text, version);
  };
  const program = ts.createProgram([...texts.keys()], { ...options, paths: { lossc: [`${ROOT}index.ts`] } }, host);
  const found = new Map<string, string[][]>();
  for (const name of texts.keys()) {
    const source = program.getSourceFile(name) ?? expect.fail(name);
    for (const { start = 0, messageText } of [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ]) {
      const place = placeOf(name, source.getLineAndCharacterOfPosition(start).line + 1);
      const lines = ts.flattenDiagnosticMessageText(messageText, "\n").split("\n");
      found.set(place, [...(found.get(place) ?? []), lines.map((line) => line.trim())]);
    }
  }
  return found;
}

const found = diagnose();
const expectations = [...texts].flatMap(([name, text]) =>
  text.split("\n").flatMap((line, i) => {
    const message = EXPECTED.exec(line)?.[1];
    // The message stands on the line behind the comment, lines count from 1.
    return message === undefined ? [] : [[placeOf(name, i + 2), message] as const];
  }),
);

test("the fixtures hold mistakes of every kind", () => {
  expect(expectations.length).toBeGreaterThan(40);
});

test.each(expectations)("%s: %s", (place, message) => {
  const pattern = new RegExp(`^${message.split("…").map(escaped).join(".*")}$`);
  expect(found.get(place)?.map((lines) => lines.at(-1))).toEqual([expect.stringMatching(pattern)]);
});

test("nothing else is refused", () => {
  const expected = new Set(expectations.map(([place]) => place));
  expect([...found].filter(([place]) => !expected.has(place))).toEqual([]);
});

test("every message can be read", () => {
  const long = [...found.values()].flat(2).filter((line) => line.length > READABLE);
  expect(long).toEqual([]);
});

function placeOf(name: string, line: number): string {
  return `${name.slice(FOLDER.length)}:${line}`;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
