/** Helpers of the tests of messages: each mistake has an exact message, and a position that points at it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { type ErrorCode, LosscError, type LossDefinition } from "../../dsl/index.js";

export interface Mistake {
  readonly name: string;
  readonly call: () => unknown;
  readonly code: ErrorCode;
  /** The message, without the place. */
  readonly message: string;
}

export const compiled = (loss: unknown) => compilePlan({ loss: loss as LossDefinition, logits: "f32" });
/** A value that the types refuse, as an author without type checks writes it. */
export const loosely = (value: unknown) => value as never;

/** The first line of a mistake, and the one behind its last. */
export type Place = (name: string, lines: readonly string[]) => readonly [first: number, behind: number];

/** The mistake stands in an entry of a list, between its name and its code. */
export const inEntry: Place = (name, lines) => {
  const first = lines.findIndex((text) => text.trim() === `name: ${JSON.stringify(name)},`) + 1;
  return [first, lines.findIndex((text, i) => i >= first && text.trim().startsWith("code: ")) + 1];
};

/** The mistake stands on a line that ends in its name. */
export const onLine: Place = (name, lines) => {
  const line = lines.findIndex((text) => text.endsWith(`// at ${name}`)) + 1;
  return [line, line + 1];
};

/** One test per mistake: code, message, file and line. */
export function explained(list: readonly Mistake[], file: string, place: Place): void {
  const lines = readFileSync(file, "utf8").split("\n");
  test.each(list.map((mistake) => [mistake.name, mistake] as const))("%s", (name, { call, code, message }) => {
    let caught: unknown;
    try {
      call();
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(LosscError);
    const error = caught as LosscError;
    expect(error.message.split("\n")[0]).toBe(message);
    expect(error.code).toBe(code);
    expect(error.position?.file).toBe(file);
    const [first, behind] = place(name, lines);
    expect(error.position?.line).toBeGreaterThanOrEqual(first);
    expect(error.position?.line).toBeLessThan(behind);
  });
}
