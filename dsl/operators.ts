/**
 * The functions that a rewritten `*.loss.ts` calls in place of its operators. Each is JavaScript's own operator unless an operand is an expression of
 * the loss; then it is the function of that name. Exported as `lossc/operators`.
 */
import { LosscError } from "./errors.js";
import { constantValue, type Expr, isExpression, type Num, toAuthor, toExpression } from "./expression.js";
import * as functions from "./functions.js";
import { opRows } from "./ops/index.js";
import { callerPosition } from "./position.js";

export { rewritten } from "./rewritten.js";

type Binary = (a: unknown, b: unknown) => unknown;
type Function = (...operands: Num[]) => unknown;

/** JavaScript's operators convert operands of any type; TypeScript allows them on numbers alone, hence the cast. */
type Native = (a: number, b: number) => unknown;

const met = (a: unknown, b: unknown): boolean => isExpression(a) || isExpression(b);

const binary =
  (native: Native, traced: (a: Num, b: Num) => unknown): Binary =>
  (a, b) =>
    met(a, b) ? traced(a as Num, b as Num) : native(a as number, b as number);

export const add: Binary = binary((a, b) => a + b, functions.add);
export const sub: Binary = binary((a, b) => a - b, functions.sub);
export const mul: Binary = binary((a, b) => a * b, functions.mul);
export const div: Binary = binary((a, b) => a / b, functions.div);
export const pow: Binary = binary((a, b) => a ** b, functions.pow);
export const lt: Binary = binary((a, b) => a < b, functions.lt);
export const le: Binary = binary((a, b) => a <= b, functions.le);
export const gt: Binary = binary((a, b) => a > b, functions.gt);
export const ge: Binary = binary((a, b) => a >= b, functions.ge);

export function neg(x: unknown): unknown {
  return isExpression(x) ? functions.neg(toAuthor(x)) : -(x as number);
}

/** `+x`: a truth value becomes 1 or 0, a number stays what it is. */
export function plus(x: unknown): unknown {
  if (!isExpression(x)) return +(x as number);
  return x.dtype === "bool" ? functions.where(x as unknown as Num, 1, 0) : x;
}

/** An expression is equal to nothing but numbers, truth values and expressions. */
const comparable = (x: unknown): boolean => typeof x === "number" || typeof x === "boolean" || isExpression(x);

/** `===` and `==`, `!==` and `!=`: on expressions they are the same. */
const equality =
  (native: Binary, traced: (a: Num, b: Num) => unknown, unequal: boolean): Binary =>
  (a, b) => {
    if (!met(a, b)) return native(a, b);
    return comparable(a) && comparable(b) ? traced(a as Num, b as Num) : unequal;
  };

export const eq: Binary = equality((a, b) => a === b, functions.eq, false);
export const ne: Binary = equality((a, b) => a !== b, functions.ne, true);
// biome-ignore lint/suspicious/noDoubleEquals: this is the operator that the author wrote
export const looseEq: Binary = equality((a, b) => a == b, functions.eq, false);
// biome-ignore lint/suspicious/noDoubleEquals: this is the operator that the author wrote
export const looseNe: Binary = equality((a, b) => a != b, functions.ne, true);

/** An operand that must be true or false. */
function truth(x: unknown, sign: string): Expr {
  const node = toExpression(x, `\`${sign}\``);
  if (node.dtype !== "bool" && constantValue(node) === undefined) {
    throw new LosscError(
      "UNSUPPORTED_SYNTAX",
      `\`${sign}\` asks whether something is true, and a number is neither true nor false: compare first, say x > 0`,
      { position: callerPosition() },
    );
  }
  return toAuthor(node);
}

type Later = () => unknown;
/** The assignment of `x &&= y` and `x ||= y`. It is not called where JavaScript would assign nothing. */
type Assign = (value: unknown) => unknown;
const same: Assign = (value) => value;

export function not(x: unknown): unknown {
  return isExpression(x) ? functions.not(truth(x, "!")) : !x;
}

/** `a && b`; a plain a decides whether b is computed. */
export function and(a: unknown, b: Later, assign: Assign = same): unknown {
  if (!isExpression(a)) return a && assign(b());
  const left = truth(a, "&&");
  return assign(functions.and(left, truth(b(), "&&")));
}

/** `a || b`; a plain a decides whether b is computed. */
export function or(a: unknown, b: Later, assign: Assign = same): unknown {
  if (!isExpression(a)) return a || assign(b());
  const left = truth(a, "||");
  return assign(functions.or(left, truth(b(), "||")));
}

/** `condition ? a : b`; a plain condition decides which one is computed. */
export function where(condition: unknown, a: Later, b: Later): unknown {
  if (!isExpression(condition)) return condition ? a() : b();
  const chosen = truth(condition, "? :");
  const branch = (later: Later) => toAuthor(toExpression(later(), "a branch of `? :`"));
  const taken = branch(a);
  return functions.where(chosen, taken, branch(b));
}

const HELP: Readonly<Record<string, string>> = {
  if: "write condition ? a : b, which computes both and chooses element by element",
  while: "a loop may depend on plain numbers only, such as static config",
  do: "a loop may depend on plain numbers only, such as static config",
  for: "a loop may depend on plain numbers only, such as static config",
  switch: "write x === 1 ? a : b, which computes both and chooses element by element",
  case: "write x === 1 ? a : b, which computes both and chooses element by element",
  "Boolean()": "join conditions with && and ||, and write condition ? a : b to choose element by element",
};
const EFFECT =
  "one of its branches assigns, deletes or waits, which cannot be done element by element: do that outside of the branch";

/** The condition of a construct that stays JavaScript's own. */
export function plain(condition: unknown, construct: string): unknown {
  if (!isExpression(condition)) return condition;
  throw new LosscError(
    "UNSUPPORTED_SYNTAX",
    `\`${construct}\` met an expression of the loss, whose value nobody knows while the loss is traced: ${HELP[construct] ?? EFFECT}`,
    { position: callerPosition() },
  );
}

const PREDICATE =
  "it may ask about plain numbers only, such as static config or an index; of expressions keep all, and let condition ? x : 0 choose element by element";
const ORDER =
  "it may compare plain numbers only; of sequences of a group, pick() and comparisons say which is greater, element by element";

/** Methods of arrays that ask of a callback's result whether it is true, or which of two comes first, and how to write it on expressions. */
const TESTS: ReadonlyMap<string, string> = new Map([
  ["filter", PREDICATE],
  ["find", PREDICATE],
  ["findIndex", PREDICATE],
  ["findLast", PREDICATE],
  ["findLastIndex", PREDICATE],
  ["some", `${PREDICATE}, or join the conditions with ||`],
  ["every", `${PREDICATE}, or join the conditions with &&`],
  ["sort", ORDER],
  ["toSorted", ORDER],
]);

/** Names of methods whose callback the front end hands to {@link tested}. */
export const TESTING: ReadonlySet<string> = new Set(TESTS.keys());

const PROTOTYPES: readonly unknown[] = [
  Array.prototype,
  Object.getPrototypeOf(Int8Array.prototype),
  (globalThis as { Iterator?: { prototype: unknown } }).Iterator?.prototype,
];

/** Whether the method is JavaScript's own. Of a receiver that is not known it is taken to be. */
function isNative(receiver: unknown, name: string): boolean {
  if (receiver === undefined || receiver === null) return true;
  const method = (receiver as Record<string, unknown>)[name];
  return PROTOTYPES.some(
    (prototype) => method !== undefined && (prototype as Record<string, unknown> | undefined)?.[name] === method,
  );
}

/** The callback of `receiver.name(callback)`, which must not give an expression: to JavaScript that is an object, and true. */
export function tested(receiver: unknown, name: string, callback: unknown): unknown {
  if (typeof callback !== "function" || !isNative(receiver, name)) return callback;
  return function (this: unknown, ...given: unknown[]): unknown {
    const result: unknown = Reflect.apply(callback, this, given);
    if (!isExpression(result)) return result;
    throw new LosscError(
      "UNSUPPORTED_SYNTAX",
      `the callback of \`${name}\` gave an expression of the loss, whose value nobody knows while the loss is traced: ${TESTS.get(name)}`,
      { position: callerPosition() },
    );
  };
}

/** `Boolean(x)`. As a callback, `terms.filter(Boolean)`, it only says of a number that there is one. */
export function boolean(...given: readonly unknown[]): boolean {
  const [x] = given;
  const isCallback = given.length > 1;
  return Boolean(isExpression(x) && isCallback && x.dtype !== "bool" ? true : plain(x, "Boolean()"));
}

/** A function of `Math`; it looks at no more operands than it has names for. */
function mathOf(name: string, arity: number): (...operands: unknown[]) => unknown {
  const native = Math[name as "exp"] as (...operands: unknown[]) => unknown;
  const traced = (functions as unknown as Record<string, Function>)[name] as Function;
  return (...operands) => {
    const used = operands.slice(0, arity);
    return used.some((x) => isExpression(x)) ? traced(...(used as Num[])) : native(...operands);
  };
}

/** `Math.min` and `Math.max` take any number of operands. */
function extremumOf(name: "min" | "max", traced: (a: Num, b: Num) => unknown): (...operands: unknown[]) => unknown {
  return (...operands) => {
    if (!operands.some((x) => isExpression(x))) return Math[name](...(operands as number[]));
    return operands.length === 1 ? plus(operands[0]) : operands.reduce((a, b) => traced(a as Num, b as Num));
  };
}

/** The functions of `Math` that have a row in the table of ops. */
export const math: Readonly<Record<string, (...operands: unknown[]) => unknown>> = Object.freeze({
  ...Object.fromEntries(
    opRows()
      .filter(([name]) => name in Math && name in functions)
      .map(([name, { takes }]) => [name, mathOf(name, takes.length)]),
  ),
  min: extremumOf("min", functions.min),
  max: extremumOf("max", functions.max),
});

const predicate =
  (native: (x: unknown) => boolean, traced: (x: Num) => unknown) =>
  (x: unknown): unknown =>
    isExpression(x) ? traced(toAuthor(x)) : native(x);

const isNaNOf = (x: Num): unknown => functions.ne(x, x);

export const numberIsFinite = predicate(Number.isFinite, functions.isFinite);
export const numberIsNaN = predicate(Number.isNaN, isNaNOf);
/** The global functions convert their argument to a number. */
// biome-ignore lint/suspicious/noGlobalIsFinite: this is the function that the author called
export const isFinite = predicate((x) => globalThis.isFinite(x as number), functions.isFinite);
// biome-ignore lint/suspicious/noGlobalIsNan: this is the function that the author called
export const isNaN = predicate((x) => globalThis.isNaN(x as number), isNaNOf);
