/** TypeScript as ts-morph brings it. */
import { createRequire } from "node:module";
import type { ts } from "ts-morph";

export type TypeScript = typeof ts;

const require = createRequire(import.meta.url);

/** TypeScript's compiler, loaded on first use: loading takes most of a second, and a program with nothing to translate should not pay it. */
export function typescript(): TypeScript {
  return (require("ts-morph") as typeof import("ts-morph")).ts;
}

/** The expression without its parentheses and types, which mean nothing to JavaScript. */
export function bare(expression: ts.Expression): ts.Expression {
  const ts = typescript();
  let inner = expression;
  while (
    ts.isParenthesizedExpression(inner) ||
    ts.isAssertionExpression(inner) ||
    ts.isSatisfiesExpression(inner) ||
    ts.isNonNullExpression(inner)
  )
    inner = inner.expression;
  return inner;
}

/** Whether the expression is made of literals alone, so that it cannot hold an expression of the loss. */
export function isLiteral(expression: ts.Expression): boolean {
  const ts = typescript();
  const inner = bare(expression);
  if (ts.isPrefixUnaryExpression(inner)) return isLiteral(inner.operand);
  if (ts.isBinaryExpression(inner)) return isLiteral(inner.left) && isLiteral(inner.right);
  return (
    ts.isNumericLiteral(inner) ||
    ts.isBigIntLiteral(inner) ||
    ts.isStringLiteralLike(inner) ||
    inner.kind === ts.SyntaxKind.TrueKeyword ||
    inner.kind === ts.SyntaxKind.FalseKeyword
  );
}
