/** Which helper of `dsl/operators.ts` stands for which operator. Every operator that is in neither table stays JavaScript's own. */
import type { ts } from "ts-morph";
import { opRows } from "../../dsl/ops/index.js";
import type { TypeScript } from "./typescript.js";

export interface Operators {
  /** `a op b`, both operands always computed. */
  readonly binary: ReadonlyMap<ts.SyntaxKind, string>;
  /** `op a`. */
  readonly unary: ReadonlyMap<ts.SyntaxKind, string>;
  /** `a op b`, where b is computed only if a plain a asks for it. */
  readonly lazy: ReadonlyMap<ts.SyntaxKind, "and" | "or">;
  /** `a op= b`. */
  readonly compound: ReadonlyMap<ts.SyntaxKind, string>;
  /** `a &&= b` and `a ||= b`. */
  readonly lazyCompound: ReadonlyMap<ts.SyntaxKind, "and" | "or">;
}

export function operatorsOf({ SyntaxKind: K }: TypeScript): Operators {
  return {
    binary: new Map([
      [K.PlusToken, "add"],
      [K.MinusToken, "sub"],
      [K.AsteriskToken, "mul"],
      [K.SlashToken, "div"],
      [K.AsteriskAsteriskToken, "pow"],
      [K.LessThanToken, "lt"],
      [K.LessThanEqualsToken, "le"],
      [K.GreaterThanToken, "gt"],
      [K.GreaterThanEqualsToken, "ge"],
      [K.EqualsEqualsEqualsToken, "eq"],
      [K.ExclamationEqualsEqualsToken, "ne"],
      [K.EqualsEqualsToken, "looseEq"],
      [K.ExclamationEqualsToken, "looseNe"],
    ]),
    unary: new Map([
      [K.MinusToken, "neg"],
      [K.PlusToken, "plus"],
      [K.ExclamationToken, "not"],
    ]),
    lazy: new Map([
      [K.AmpersandAmpersandToken, "and"],
      [K.BarBarToken, "or"],
    ]),
    compound: new Map([
      [K.PlusEqualsToken, "add"],
      [K.MinusEqualsToken, "sub"],
      [K.AsteriskEqualsToken, "mul"],
      [K.SlashEqualsToken, "div"],
      [K.AsteriskAsteriskEqualsToken, "pow"],
    ]),
    lazyCompound: new Map([
      [K.AmpersandAmpersandEqualsToken, "and"],
      [K.BarBarEqualsToken, "or"],
    ]),
  };
}

/** The functions of `Math` that have a row in the table of ops. */
export const MATH: ReadonlySet<string> = new Set(
  opRows()
    .map(([name]) => name)
    .filter((name) => typeof (Math as unknown as Record<string, unknown>)[name] === "function"),
);
/** Functions of `Number` and global functions, by their helpers. */
export const NUMBER: Readonly<Record<string, string>> = { isFinite: "numberIsFinite", isNaN: "numberIsNaN" };
export const GLOBAL: Readonly<Record<string, string>> = { isFinite: "isFinite", isNaN: "isNaN", Boolean: "boolean" };
