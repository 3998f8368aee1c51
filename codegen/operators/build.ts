/** Builds the calls that a rewritten file is made of. */
import type { ts } from "ts-morph";
import { bare, typescript } from "./typescript.js";

export class CallBuilder {
  private readonly calls = new WeakSet<ts.Node>();

  constructor(
    private readonly file: ts.SourceFile,
    private readonly factory: ts.NodeFactory,
    /** The helpers, as the rewritten file imports them. */
    private readonly namespace: string,
  ) {}

  /**
   * The call of a helper in place of `original`. On a stack it stands where `at` stands in the user's file: V8 takes the place of the name that is
   * called.
   */
  call(
    name: string,
    operands: readonly ts.Expression[],
    original: ts.Node,
    at: ts.Node | undefined = undefined,
  ): ts.CallExpression {
    const ts = typescript();
    const call = this.factory.createCallExpression(this.helper(name, at ?? original), undefined, operands.map(unwrapped));
    ts.setTextRange(ts.setOriginalNode(call, original), original);
    this.calls.add(call);
    return call;
  }

  /** The helper itself. */
  helper(name: string, at: ts.Node): ts.Expression {
    const ts = typescript();
    const start = at.getStart(this.file);
    const path = name.split(".").map((part) => {
      return ts.setSourceMapRange(this.factory.createIdentifier(part), { pos: start, end: at.end });
    });
    return path.reduce<ts.Expression>(
      (from, part) => this.factory.createPropertyAccessExpression(from, part),
      this.factory.createIdentifier(this.namespace),
    );
  }

  /** `() => expression` */
  later(expression: ts.Expression): ts.ArrowFunction {
    return this.factory.createArrowFunction(undefined, undefined, [], undefined, undefined, unwrapped(expression));
  }

  /** Parentheses around a call have nothing to hold together. */
  parenthesised(node: ts.ParenthesizedExpression): ts.Expression {
    return this.calls.has(node.expression) ? node.expression : node;
  }
}

/** An operand without the parentheses that its operator asked for; the factory puts back those that a call needs. */
function unwrapped(expression: ts.Expression): ts.Expression {
  return typescript().isParenthesizedExpression(expression) ? unwrapped(expression.expression) : expression;
}

/** Whether reading it twice gives the same and does nothing. */
export function isSimple(expression: ts.Expression): boolean {
  const ts = typescript();
  const inner = bare(expression);
  return ts.isIdentifier(inner) || ts.isStringLiteralLike(inner) || ts.isNumericLiteral(inner) || isFixed(inner);
}

/** Whether its value is the same wherever it is read. */
export function isFixed(expression: ts.Expression): boolean {
  const ts = typescript();
  const { kind } = bare(expression);
  return kind === ts.SyntaxKind.ThisKeyword || kind === ts.SyntaxKind.SuperKeyword;
}
