/** Builders of nodes, for passes, and the tables of ops. */
import { attributeKey, type Expression } from "../expression.js";
import { orderOf } from "../spaces.js";
import { FOLD_ORDER } from "./folds.js";
import { LEAVES } from "./leaves.js";
import type { Op } from "./names.js";
import { ROW_OPS } from "./rows.js";
import { opRow } from "./table.js";

export * from "./arithmetic.js";
export * from "./folds.js";
export * from "./functions.js";
export * from "./leaves.js";
export * from "./rows.js";
export { type AnyRow, opRow, opRows, rebuild, type Text } from "./table.js";

const ORDERS = new Map<Op, number>([
  ...Object.entries({ ...LEAVES, ...ROW_OPS }).map(([op, { order }]) => [op as Op, order] as const),
  ["fold", FOLD_ORDER],
]);

/**
 * An order of nodes that follows from nothing but their structure: kernel text is made of it, and `Expression.id` would make that the history of the
 * process. It goes by numbers of ops and spaces rather than by their names, so that a new name leaves the kernels as they are.
 */
export function byStructure(a: Expression, b: Expression): number {
  if (a === b) return 0;
  const order = ({ op }: Expression) => opRow(op)?.order ?? (ORDERS.get(op) as number);
  const own = a.height - b.height || order(a) - order(b) || orderOf(a.space) - orderOf(b.space);
  if (own !== 0) return own;
  const [left, right] = [attributeKey(a.attribute), attributeKey(b.attribute)];
  if (left !== right) return left < right ? -1 : 1;
  // Of one op, and not the same node: some operands differ, and the first of these decide.
  const others = b.operands.values();
  for (const x of a.operands) {
    const { value: y } = others.next();
    if (y && x !== y) return byStructure(x, y);
  }
  return 0;
}
