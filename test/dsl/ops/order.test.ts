/** The numbers of ops in the order of operands that commute. The tables share them, and the title of the test names the next. */
import { expect, it } from "vitest";
import { FOLD_ORDER, LEAVES, opRows, ROW_OPS } from "../../../dsl/ops/index.js";

const orders: readonly (readonly [name: string, order: number])[] = [
  ...opRows().map(([name, { order }]) => [name, order] as const),
  ...Object.entries({ ...LEAVES, ...ROW_OPS }).map(([name, { order }]) => [name, order] as const),
  ["fold", FOLD_ORDER],
];
const known = orders.map(([, order]) => order).filter(Number.isInteger);
const next = `the next op has the order ${Math.max(...known) + 1}`;

it(`two ops have one place in the order of operands, or an op has none: ${next}`, () => {
  const wrong = orders.filter(([, order]) => !Number.isInteger(order) || known.indexOf(order) !== known.lastIndexOf(order));
  expect(wrong, next).toEqual([]);
});
