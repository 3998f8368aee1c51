/** Walking and rebuilding graphs. */
import { type Expression, Node } from "./expression.js";
import type { ElementwiseOp } from "./ops/names.js";
import { opRow, rebuild } from "./ops/table.js";

/** Every node that the roots need, operands before their users. The walk goes no deeper than nodes at which it `ends`. */
export function topological(roots: Iterable<Expression>, ends?: (x: Expression) => boolean): Expression[] {
  const order: Expression[] = [];
  const seen = new Set<Expression>();
  const stack: { readonly x: Expression; next: number }[] = [];
  const enter = (x: Expression) => {
    if (seen.has(x)) return;
    seen.add(x);
    stack.push({ x, next: ends?.(x) ? x.operands.length : 0 });
  };
  for (const root of roots) {
    enter(root);
    while (stack.length > 0) {
      const top = stack[stack.length - 1] as (typeof stack)[number];
      const operand = top.x.operands[top.next++];
      if (operand !== undefined) enter(operand);
      else {
        order.push(top.x);
        stack.pop();
      }
    }
  }
  return order;
}

/** A pure function of nodes, computed once for each. One that calls itself on operands is `operandsFirst`. */
export function oncePerNode<T>(of: (x: Expression) => T): (x: Expression) => T {
  const known = new WeakMap<Expression, { readonly value: T }>();
  return (x) => {
    let found = known.get(x);
    if (!found) {
      found = { value: of(x) };
      known.set(x, found);
    }
    return found.value;
  };
}

/**
 * A pure function of nodes that calls itself on operands, computed once for each. Operands come first: plain recursion runs out of stack on a deep
 * graph, and takes exponential time on one that shares.
 */
export function operandsFirst<T>(of: (x: Expression) => T): (x: Expression) => T {
  const known = new WeakMap<Expression, { readonly value: T }>();
  return (x) => {
    const found = known.get(x);
    if (found) return found.value;
    for (const y of topological([x], (z) => known.has(z))) if (!known.has(y)) known.set(y, { value: of(y) });
    return (known.get(x) as { readonly value: T }).value;
  };
}

/** The node with other operands. */
export function withOperands(x: Expression, operands: readonly Expression[]): Expression {
  if (operands.every((operand, i) => operand === x.operands[i])) return x;
  return opRow(x.op) ? rebuild(x.op as ElementwiseOp, operands) : Node.of(x.op, operands, x.space, x.dtype, x.attribute);
}

/**
 * A function of nodes and of its own values of their operands, which are computed before. Each node is visited once, however many expressions the
 * function is given. A node that `ends` is visited without its operands.
 */
export function bottomUp<T>(
  of: (x: Expression, operands: readonly T[]) => T,
  ends: (x: Expression) => boolean = () => false,
): (root: Expression) => T {
  const done = new Map<Expression, T>();
  return (root) => {
    for (const x of topological([root], (y) => done.has(y) || ends(y)))
      if (!done.has(x)) done.set(x, of(x, ends(x) ? [] : x.operands.map((y) => done.get(y) as T)));
    return done.get(root) as T;
  };
}

/** Rebuilds the graph from its leaves: `change` sees each node with its operands already changed. */
export function rewriter(change: (x: Expression) => Expression): (root: Expression) => Expression {
  return bottomUp((x, operands: readonly Expression[]) => change(withOperands(x, operands)));
}
