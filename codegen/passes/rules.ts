/** Rewriting by rules: a rule is a pair of expressions with variables in them, the second of which takes the place of the first. */
import { constantValue, type Dtype, type Expression, Node } from "../../dsl/expression.js";
import { rewriter, withOperands } from "../../dsl/graph.js";
import type { Op } from "../../dsl/ops/names.js";

type Holds = (x: Expression) => boolean;
type Bindings = Map<Expression, Expression>;

/** A rewriting under way. */
export interface Rewriting {
  /** The node, which has rewritten operands, rewritten itself. */
  readonly settle: (x: Expression) => Expression;
  /** A whole expression, rewritten from its leaves. */
  readonly deep: (root: Expression) => Expression;
}

/** Rewrites a node of its op whose operands are rewritten; null where it does not apply. */
export interface Rule {
  readonly op: Op;
  readonly apply: (x: Expression, rewriting: Rewriting) => Expression | null;
}

const variables = new Map<Expression, Holds>();

/** A variable: it stands for any expression for which the condition holds, and for the same one wherever it stands in a rule. */
export function variable(name: string, holds: Holds = () => true, dtype: Dtype = "f32"): Expression {
  const x = Node.of("input", [], "batch", dtype, { differentiable: false, name: `rule ${name}`, default: null });
  variables.set(x, holds);
  return x;
}

/** The rule that puts `to` in place of `from`, where the condition on its variables holds. */
export function rule(
  from: Expression,
  to: Expression,
  when: (bound: (x: Expression) => Expression) => boolean = () => true,
): Rule {
  return {
    op: from.op,
    apply(x, { settle }) {
      const bindings: Bindings = new Map();
      if (!matches(from, x, bindings) || !when((y) => bindings.get(y) as Expression)) return null;
      return instance(to, bindings, settle);
    },
  };
}

function matches(pattern: Expression, x: Expression, bindings: Bindings): boolean {
  const holds = variables.get(pattern);
  if (holds) {
    const bound = bindings.get(pattern);
    bindings.set(pattern, x);
    return bound === undefined ? holds(x) : bound === x;
  }
  // 0 and −0 are one number here.
  if (pattern.op === "constant") return constantValue(pattern) === constantValue(x);
  if (pattern.op !== x.op) return false;
  for (const [i, y] of pattern.operands.entries()) if (!matches(y, x.operands[i] as Expression, bindings)) return false;
  return true;
}

function instance(template: Expression, bindings: Bindings, settle: Rewriting["settle"]): Expression {
  const bound = bindings.get(template);
  if (bound) return bound;
  if (template.operands.length === 0) return template;
  return settle(
    withOperands(
      template,
      template.operands.map((y) => instance(y, bindings, settle)),
    ),
  );
}

/** A rule that no pair of expressions says. */
export const ruleFor = <O extends Op>(
  op: O,
  apply: (x: Extract<Expression, { readonly op: O }>, rewriting: Rewriting) => Expression | null,
): Rule => ({ op, apply: (x, rewriting) => apply(x as Extract<Expression, { readonly op: O }>, rewriting) });

/** Rewrites whole expressions by the first of the rules that applies at each node, until none does. What expressions share is rewritten once. */
export function rewriterBy(rulesOf: ReadonlyMap<Op, readonly Rule[]>): (root: Expression) => Expression {
  const known = new Map<Expression, Expression>();
  const settle = (x: Expression): Expression => {
    const seen = known.get(x);
    if (seen) return seen;
    const result = rewritten(x);
    known.set(x, result);
    return result;
  };
  const rewritten = (x: Expression): Expression => {
    for (const { apply } of rulesOf.get(x.op) ?? []) {
      const next = apply(x, { settle, deep });
      if (next && next !== x) return settle(next);
    }
    return x;
  };
  const deep = rewriter(settle);
  return deep;
}

/** Rules by the op that they begin with, in their order. */
export function byOp(rules: readonly Rule[]): ReadonlyMap<Op, readonly Rule[]> {
  const result = new Map<Op, Rule[]>();
  for (const one of rules) {
    const others = result.get(one.op);
    if (others) others.push(one);
    else result.set(one.op, [one]);
  }
  return result;
}
