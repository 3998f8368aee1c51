/** Mistakes in a rewritten file, through the plugin: each says what is wrong, and where in the user's file. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import type { ErrorCode, LosscError, SourcePosition } from "../../dsl/errors.js";
import { mistakes } from "./fixtures/mistakes.loss.js";

const FILE = fileURLToPath(new URL("./fixtures/mistakes.loss.ts", import.meta.url));
const LINES = readFileSync(FILE, "utf8").split("\n");

/** The place right behind a mark. */
function behind(mark: string): SourcePosition {
  const line = LINES.findIndex((text) => text.includes(`/* ${mark} */`));
  const text = LINES[line] as string;
  const start = text.indexOf(`/* ${mark} */`) + mark.length + 6;
  return { file: FILE, line: line + 1, column: start + 1 + (/^ */.exec(text.slice(start)) as RegExpExecArray)[0].length };
}

const WANTED: Readonly<Record<keyof typeof mistakes, readonly [ErrorCode, ...string[]]>> = {
  if: ["UNSUPPORTED_SYNTAX", "`if` met an expression", "write condition ? a : b"],
  while: ["UNSUPPORTED_SYNTAX", "`while` met an expression", "a loop may depend on plain numbers only"],
  do: ["UNSUPPORTED_SYNTAX", "`do` met an expression"],
  for: ["UNSUPPORTED_SYNTAX", "`for` met an expression"],
  switch: ["UNSUPPORTED_SYNTAX", "`switch` met an expression", "x === 1 ? a : b"],
  case: ["UNSUPPORTED_SYNTAX", "`case` met an expression"],
  assigned: ["UNSUPPORTED_SYNTAX", "`? :` met an expression", "one of its branches assigns"],
  andAssigned: ["UNSUPPORTED_SYNTAX", "`&&` met an expression", "one of its branches assigns"],
  numberAnd: ["UNSUPPORTED_SYNTAX", "`&&` asks whether something is true", "compare first, say x > 0"],
  andNumber: ["UNSUPPORTED_SYNTAX", "`&&` asks whether something is true", "compare first, say x > 0"],
  numberChosen: ["UNSUPPORTED_SYNTAX", "`? :` asks whether something is true", "compare first, say x > 0"],
  notNumber: ["UNSUPPORTED_SYNTAX", "`!` asks whether something is true", "compare first, say x > 0"],
  branch: ["UNSUPPORTED_SYNTAX", "a branch of `? :` takes numbers and expressions; it was given a string"],
  text: ["UNSUPPORTED_SYNTAX", "add() takes numbers and expressions; it was given a string"],
  missing: ["INPUT_UNKNOWN", 'reads the input "a"'],
  remainder: ["OPERATOR_ON_EXPR"],
  bits: ["OPERATOR_ON_EXPR"],
  step: ["OPERATOR_ON_EXPR"],
  template: ["OPERATOR_ON_EXPR", "a template"],
  filter: ["UNSUPPORTED_SYNTAX", "the callback of `filter` gave an expression", "condition ? x : 0"],
  some: ["UNSUPPORTED_SYNTAX", "the callback of `some` gave an expression", "join the conditions with ||"],
  every: ["UNSUPPORTED_SYNTAX", "the callback of `every` gave an expression", "join the conditions with &&"],
  find: ["UNSUPPORTED_SYNTAX", "the callback of `find` gave an expression"],
  handedOn: ["UNSUPPORTED_SYNTAX", "the callback of `findIndex` gave an expression"],
  sort: ["UNSUPPORTED_SYNTAX", "the callback of `sort` gave an expression", "pick()"],
  boolean: ["UNSUPPORTED_SYNTAX", "`Boolean()` met an expression", "&& and ||"],
  booleanOfNumber: ["UNSUPPORTED_SYNTAX", "`Boolean()` met an expression", "condition ? a : b"],
  random: ["UNSUPPORTED_SYNTAX", "Math.random() gives one number when the loss is traced", "declare an input"],
  now: ["UNSUPPORTED_SYNTAX", "Date.now() gives one number", "config: { time: 0 }"],
  today: ["UNSUPPORTED_SYNTAX", "new Date() gives one number"],
  uuid: ["UNSUPPORTED_SYNTAX", "crypto.randomUUID() gives one number"],
  sine: ["OPERATOR_ON_EXPR"],
};

describe("a mistake in a *.loss.ts", () => {
  test.each(Object.keys(mistakes) as (keyof typeof mistakes)[])("%s", (name) => {
    let caught: LosscError | undefined;
    try {
      compilePlan({ loss: mistakes[name], logits: "f32" });
    } catch (error) {
      caught = error as LosscError;
    }
    const [code, ...says] = WANTED[name];
    const where = behind(name);
    expect(caught).toMatchObject({ name: "LosscError", code });
    for (const words of says) expect(caught?.message).toContain(words);
    expect(caught?.position).toEqual(where);
    expect(caught?.message).toContain(`${where.file}:${where.line}:${where.column}`);
    expect(caught?.frame).toMatch(new RegExp(`^> +${where.line} \\|`, "m"));
  });
});

test("a file that is named so that nothing rewrites it", async () => {
  const path = fileURLToPath(new URL("./fixtures/named.loss.tsx", import.meta.url));
  await expect(import(path)).rejects.toThrow(/only \*\.loss\.ts, \.mts, \.js and \.mjs are rewritten/);
});
