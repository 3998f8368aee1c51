/** Side effects of a branch. Both branches of `? :` on an expression are computed, so one with effects is not rewritten into a plain operand. */
import type { ts } from "ts-morph";
import type { Scopes } from "./scopes.js";
import { bare, typescript } from "./typescript.js";

/**
 * Whether the branch holds an assignment, `++`, `--`, `delete`, `await` or `yield`. Functions inside of the branch may await, and may assign to
 * variables of their own.
 */
export function holdsEffect(branch: ts.Node, scopes: Scopes): boolean {
  const ts = typescript();

  const own = (target: ts.Expression): boolean => {
    const variable = bare(target);
    const scope = ts.isIdentifier(variable) ? scopes.scopeOf(variable) : undefined;
    return scope !== undefined && scope.pos >= branch.pos && scope.end <= branch.end;
  };

  const visit = (node: ts.Node, inFunction: boolean): boolean => {
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return false;
    if (ts.isDeleteExpression(node)) return true;
    if ((ts.isAwaitExpression(node) || ts.isYieldExpression(node)) && !inFunction) return true;
    if (ts.isBinaryExpression(node) && isAssignment(node) && !own(node.left)) return true;
    if ((ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) && steps(node) && !own(node.operand)) return true;
    const inner = inFunction || ts.isFunctionLike(node);
    return ts.forEachChild(node, (child) => visit(child, inner) || undefined) ?? false;
  };

  const isAssignment = ({ operatorToken: { kind } }: ts.BinaryExpression): boolean =>
    kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;

  const steps = ({ operator }: ts.PrefixUnaryExpression | ts.PostfixUnaryExpression): boolean =>
    operator === ts.SyntaxKind.PlusPlusToken || operator === ts.SyntaxKind.MinusMinusToken;

  return visit(branch, false);
}
