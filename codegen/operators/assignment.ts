/** `x += y` and its kin. The target's parts are computed once, before the right side, as JavaScript does. */
import type { ts } from "ts-morph";
import { isFixed, isSimple } from "./build.js";
import { bare, typescript } from "./typescript.js";

/** A target that is read and written: `first` where it stands first, `again` where it stands after that. */
export interface Target {
  readonly first: ts.Expression;
  readonly again: ts.Expression;
}

/** Splits a target whose parts are rewritten already. */
export function splitTarget(target: ts.Expression, context: ts.TransformationContext): Target {
  const ts = typescript();
  const { factory } = context;

  /** `(_a = x)` and then `_a`. */
  const keep = (x: ts.Expression): Target => {
    const kept = factory.createTempVariable(context.hoistVariableDeclaration);
    return { first: factory.createAssignment(kept, x), again: kept };
  };
  // Comments stay with the node of the user's file, which stands first.
  const as = (x: ts.Expression): Target => {
    const inner = bare(x);
    return { first: x, again: ts.isIdentifier(inner) ? ts.setOriginalNode(factory.createIdentifier(inner.text), inner) : inner };
  };

  const inner = bare(target);
  if (ts.isPropertyAccessExpression(inner)) {
    const base = isSimple(inner.expression) ? as(inner.expression) : keep(inner.expression);
    const at = (from: ts.Expression) => factory.createPropertyAccessExpression(from, inner.name);
    return { first: ts.setTextRange(at(base.first), inner), again: at(base.again) };
  }
  if (ts.isElementAccessExpression(inner)) {
    const { expression, argumentExpression } = inner;
    // A key that is more than a name may assign to the variable before it.
    const simple = isFixed(expression) || (isSimple(expression) && isSimple(argumentExpression));
    const base = simple ? as(expression) : keep(expression);
    const key = isSimple(argumentExpression) ? as(argumentExpression) : keep(argumentExpression);
    const at = (from: ts.Expression, which: ts.Expression) => factory.createElementAccessExpression(from, which);
    return { first: ts.setTextRange(at(base.first, key.first), inner), again: at(base.again, key.again) };
  }
  return as(inner);
}
