/** docs/api.md names everything that a program can give or get; the types are read from their source. */
import { readFileSync } from "node:fs";
import ts from "typescript";
import { expect, test } from "vitest";
import * as lossc from "../../index.js";
import { ROOT } from "./blocks.js";

const textOf = (page: string) => readFileSync(`${ROOT}docs/${page}`, "utf8");

/** The members of an interface, by their names. */
function membersOf(file: string, name: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(ROOT + file, "utf8"), ts.ScriptTarget.Latest, true);
  const found = source.statements.find(
    (statement): statement is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  return found?.members.flatMap((member) => (member.name === undefined ? [] : [member.name.getText()])) ?? [];
}

/** Members that a caller never gives or reads: they are for TypeScript's messages. */
const HIDDEN = ["DeviceBuffer.data"];

const DEVICE = "runtime/devices/device.ts";
test.each([
  ["LossInputs", DEVICE, "api.md"],
  ["CompileOptions", DEVICE, "api.md"],
  ["ForwardBackwardOptions", DEVICE, "api.md"],
  ["LossResult", DEVICE, "api.md"],
  ["CompiledLoss", DEVICE, "api.md"],
  ["DeviceBuffer", DEVICE, "api.md"],
  ["Device", DEVICE, "api.md"],
  ["DeviceOptions", DEVICE, "api.md"],
  ["TrainingOptions", "runtime/training/client.ts", "training.md"],
  ["AdamOptions", "runtime/training/adam.ts", "training.md"],
])("%s has a member that its page does not name", (name, file, page) => {
  const members = membersOf(file, name);
  expect(members.length).toBeGreaterThan(1);
  const text = textOf(page);
  const isNamed = (member: string) => new RegExp(`\`(?:\\w+\\.)?${member}(?:\\(.*?\\))?\``).test(text);
  expect(members.filter((member) => !HIDDEN.includes(`${name}.${member}`) && !isNamed(member))).toEqual([]);
});

test("lossc exports a value that no page names", () => {
  const text = ["api.md", "language.md", "training.md"].map(textOf).join("\n");
  expect(Object.keys(lossc).filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
});
