/** Walking and rebuilding graphs. */
import { Expression } from "./expression.js";
import { opRow, rebuild } from "./ops/registry.js";

/** Every node that the roots need, operands before their users. */
export function topological(roots: Iterable<Expression>): Expression[] {
  const order: Expression[] = [];
  const seen = new Set<Expression>();
  const stack: { readonly x: Expression; next: number }[] = [];
  for (const root of roots) {
    if (seen.has(root)) continue;
    seen.add(root);
    stack.push({ x: root, next: 0 });
    while (stack.length > 0) {
      const top = stack[stack.length - 1] as (typeof stack)[number];
      const operand = top.x.operands[top.next++];
      if (operand === undefined) {
        order.push(top.x);
        stack.pop();
      } else if (!seen.has(operand)) {
        seen.add(operand);
        stack.push({ x: operand, next: 0 });
      }
    }
  }
  return order;
}

/** The node with other operands. */
export function withOperands(x: Expression, operands: readonly Expression[]): Expression {
  if (operands.every((operand, i) => operand === x.operands[i])) return x;
  return opRow(x.op) ? rebuild(x.op, operands) : Expression.intern(x.op, operands, x.space, x.dtype, x.attribute);
}

/** Rebuilds the graph from its leaves: `change` sees each node with its operands already changed. */
export function rewriter(change: (x: Expression) => Expression): (root: Expression) => Expression {
  const done = new Map<Expression, Expression>();
  return (root) => {
    for (const x of topological([root])) {
      if (done.has(x)) continue;
      done.set(
        x,
        change(
          withOperands(
            x,
            x.operands.map((operand) => done.get(operand) as Expression),
          ),
        ),
      );
    }
    return done.get(root) as Expression;
  };
}
