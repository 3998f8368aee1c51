/** The one node type: frozen, interned, so that equal expressions are the same object. */
import { recognise, rewrittenElsewhere, strangerInWords } from "./copies.js";
import { LosscError } from "./errors.js";
import { callerPosition } from "./position.js";
import { isRewritten } from "./rewritten.js";
import { finest, type Space } from "./spaces.js";

declare const brand: unique symbol;

/**
 * What the author of a loss computes with: to TypeScript a number, so that native operators type-check; while a loss is traced, a node of its
 * expression graph. The brand is optional because `a * b` of two `Expr` is a `number` to TypeScript.
 */
export type Expr = number & { readonly [brand]?: "Expr" };

/** What a function of the language takes. */
export type Num = number | boolean;

export type Dtype = "f32" | "bool";

/** What an op knows beside its operands. */
export type Attribute = Readonly<Record<string, string | number | boolean | null>>;

const NO_ATTRIBUTE: Attribute = Object.freeze({});

/** A node of the graph. Made by {@link intern} alone; what a pass learns of it is kept beside it. */
export class Expression {
  private constructor(
    /** Larger than the id of every operand. Which number it is depends on what the process made before. */
    readonly id: number,
    /** Nodes on the longest way down to a leaf. */
    readonly height: number,
    readonly op: string,
    readonly operands: readonly Expression[],
    readonly attribute: Attribute,
    readonly space: Space,
    readonly dtype: Dtype,
  ) {
    Object.freeze(this);
  }

  /** JavaScript wants a number or a string of this node: an operator met it in a file that was not rewritten, or one that has no meaning here. */
  [Symbol.toPrimitive](hint: string): never {
    const position = callerPosition();
    const elsewhere = position && rewrittenElsewhere(position.file);
    const words = elsewhere ?? conversion(hint, position !== undefined && isRewritten(position.file));
    throw new LosscError("OPERATOR_ON_EXPR", words, { position });
  }

  private static next = 0;
  private static readonly known = new Map<string, WeakRef<Expression>>();
  private static readonly collected = new FinalizationRegistry<string>((key) => {
    if (Expression.known.get(key)?.deref() === undefined) Expression.known.delete(key);
  });

  /** The node with these parts. */
  static intern(
    op: string,
    operands: readonly Expression[],
    space: Space,
    dtype: Dtype,
    attribute: Attribute = NO_ATTRIBUTE,
  ): Expression {
    let key = ownKey(op, space, dtype, attribute);
    let height = 0;
    for (const x of operands) {
      key += `,${x.id}`;
      height = Math.max(height, x.height + 1);
    }
    const known = Expression.known.get(key)?.deref();
    if (known !== undefined) return known;
    const made = new Expression(
      Expression.next++,
      height,
      op,
      Object.freeze([...operands]),
      attribute === NO_ATTRIBUTE ? attribute : Object.freeze({ ...attribute }),
      space,
      dtype,
    );
    Expression.known.set(key, new WeakRef(made));
    Expression.collected.register(made, key);
    return made;
  }
}

recognise(isExpression);

/** What a node is but for its operands. */
function ownKey(op: string, space: Space, dtype: Dtype, attribute: Attribute): string {
  let key = `${op}|${space}|${dtype}|`;
  if (attribute === NO_ATTRIBUTE) return key;
  for (const name of Object.keys(attribute)) {
    const value = attribute[name];
    key += `${name}=${Object.is(value, -0) ? "-0" : JSON.stringify(String(value))};`;
  }
  return key;
}

/** An order of nodes that follows from nothing but what they are. Where text is made of the order, {@link Expression.id} would make it the history of the process. */
export function byStructure(a: Expression, b: Expression): number {
  if (a === b) return 0;
  if (a.height !== b.height) return a.height - b.height;
  const [own, other] = [a, b].map((x) => ownKey(x.op, x.space, x.dtype, x.attribute)) as [string, string];
  if (own !== other) return own < other ? -1 : 1;
  // Of one op, and not the same node: some operands differ, and the first of these decide.
  const differing = a.operands.findIndex((x, i) => x !== b.operands[i]);
  return byStructure(a.operands[differing] as Expression, b.operands[differing] as Expression);
}

/** A number or a truth value as a node. */
export function constant(value: number | boolean): Expression {
  return Expression.intern("constant", [], "batch", typeof value === "boolean" ? "bool" : "f32", { value: Number(value) });
}

/** The value of a constant node, undefined for every other. */
export function constantValue(x: Expression): number | undefined {
  return x.op === "constant" ? (x.attribute.value as number) : undefined;
}

/** What an author handed to a function, as a node. */
export function toExpression(value: unknown, where: string): Expression {
  if (value instanceof Expression) return value;
  if (typeof value === "number" || typeof value === "boolean") return constant(value);
  throw new LosscError("UNSUPPORTED_SYNTAX", `${where} takes numbers and expressions; it was given ${describe(value)}`, {
    position: callerPosition(),
  });
}

/** Whether a value is an expression of a loss; false for a plain number. */
export function isExpression(value: unknown): value is Expression {
  return value instanceof Expression;
}

export function finestOf(operands: readonly Expression[]): Space {
  return finest(operands.map((x) => x.space));
}

/** What JavaScript did, and what to write instead. */
function conversion(hint: string, rewritten: boolean): string {
  if (hint === "string")
    return "a template or a string conversion met an expression of the loss, which has no value while the loss is traced: to see its numbers, return it among outputs, or its mean among metrics";
  if (rewritten)
    return "%, the bitwise operators, ++, -- and functions of Math that lossc does not have mean nothing on an expression of the loss: write it with + - * / **, comparisons, ? : and the functions of lossc (x += 1 for x++, floor for a remainder)";
  return "a native operator met an expression of the loss, in a file whose operators are not rewritten: name the file *.loss.ts and run it with node --import lossc/register, the plugin lossc/vite or the command line, or call the function of the same meaning instead: add(a, b), sub(a, b), mul(a, b), div(a, b), pow(a, b), neg(a), lt(a, b), le(a, b), gt(a, b), ge(a, b)";
}

/** A value in words, for messages. */
export function describe(value: unknown): string {
  if (value instanceof Expression) return `an expression in ${value.space} space`;
  if (value === undefined) return "undefined (is the name of the input spelt right?)";
  if (value === null) return "null";
  return typeof value === "object" ? (strangerInWords(value) ?? "an object") : `a ${typeof value}`;
}
