/** The one node type: frozen, interned, so that equal expressions are the same object. */
import { recognise, rewrittenElsewhere, strangerInWords } from "./copies.js";
import { LosscError } from "./errors.js";
import type { AttributeOf, BinaryOp, LeafOp, NoAttribute, Op, TernaryOp } from "./ops/names.js";
import { callerPosition } from "./position.js";
import { isRewritten } from "./rewritten.js";
import type { Space } from "./spaces.js";

declare const brand: unique symbol;

/**
 * A value in a loss. To TypeScript it is a number, so that native operators type-check; while a loss is traced, it is a node of its expression
 * graph. The brand is optional because `a * b` of two `Expr` is a `number` to TypeScript.
 */
export type Expr = number & { readonly [brand]?: "Expr" };

/** The operand of a function of the language. */
export type Num = number | boolean;

/** The operand of a builder of nodes: an author's value, or a node. */
export type Operand = Num | Expression;

export type Dtype = "f32" | "bool";

/** The operands of an op, as many as it has. */
export type OperandsOf<O extends Op> = O extends LeafOp
  ? readonly []
  : O extends BinaryOp
    ? readonly [Expression, Expression]
    : O extends TernaryOp
      ? readonly [Expression, Expression, Expression]
      : readonly [Expression];

export const NO_ATTRIBUTE: NoAttribute = Object.freeze({});

/** A node of the graph. Made by {@link intern} alone; facts that a pass finds out are kept beside it. */
export class Node<O extends Op> {
  private constructor(
    /** Larger than the id of every operand. The number depends on the nodes that the process made before. */
    readonly id: number,
    /** Nodes on the longest way down to a leaf. */
    readonly height: number,
    readonly op: O,
    readonly operands: OperandsOf<O>,
    readonly attribute: AttributeOf<O>,
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
    if (Node.known.get(key)?.deref() === undefined) Node.known.delete(key);
  });

  /** The node with these parts, which are taken as they are. Where the op is known, {@link intern} checks them. */
  static of(op: Op, operands: readonly Expression[], space: Space, dtype: Dtype, attribute: AttributeOf<Op>): Expression {
    let key = `${op}|${space}|${dtype}|${attributeKey(attribute)}`;
    let height = 0;
    for (const x of operands) {
      key += `,${x.id}`;
      height = Math.max(height, x.height + 1);
    }
    const known = Node.known.get(key)?.deref();
    if (known !== undefined) return known;
    const parts = Object.freeze([...operands]) as OperandsOf<Op>;
    const made = new Node(
      Node.next++,
      height,
      op,
      parts,
      attribute === NO_ATTRIBUTE ? attribute : Object.freeze({ ...attribute }),
      space,
      dtype,
    ) as Expression;
    Node.known.set(key, new WeakRef(made));
    Node.collected.register(made, key);
    return made;
  }
}

recognise(isExpression);

/** A node of any op. The op decides how many operands and which attributes it has. */
export type Expression = { readonly [O in Op]: Node<O> }[Op];

/** The node with these parts. */
export function intern<O extends Op>(
  op: O,
  operands: OperandsOf<O>,
  space: Space,
  dtype: Dtype,
  ...[attribute]: NoAttribute extends AttributeOf<O> ? [] : [AttributeOf<O>]
): Extract<Expression, { readonly op: O }> {
  return Node.of(op, operands, space, dtype, attribute ?? NO_ATTRIBUTE) as Extract<Expression, { readonly op: O }>;
}

/** Attributes as text: of one op they have the same names in the same order. */
export function attributeKey(attribute: AttributeOf<Op>): string {
  let key = "";
  if (attribute === NO_ATTRIBUTE) return key;
  for (const [name, value] of Object.entries(attribute))
    key += `${name}=${Object.is(value, -0) ? "-0" : JSON.stringify(String(value))};`;
  return key;
}

/** A number or a truth value as a node. */
export function constant(value: number | boolean): Expression {
  return intern("constant", [], "batch", typeof value === "boolean" ? "bool" : "f32", { value: Number(value) });
}

/** The value of a constant node, undefined for every other. */
export function constantValue(x: Expression): number | undefined {
  return x.op === "constant" ? x.attribute.value : undefined;
}

/** A value that an author handed to a function, as a node. */
export function toExpression(value: unknown, where: string): Expression {
  if (isExpression(value)) return value;
  if (typeof value === "number" || typeof value === "boolean") return constant(value);
  throw new LosscError("UNSUPPORTED_SYNTAX", `${where} takes numbers and expressions; it was given ${describe(value)}`, {
    position: callerPosition(),
  });
}

/** A node as authors hold it: to TypeScript a number. */
export const toAuthor = (x: Expression): Expr => x as unknown as Expr;

/** Whether a value is an expression of a loss; false for a plain number. */
export function isExpression(value: unknown): value is Expression {
  return value instanceof Node;
}

/** The mistake that JavaScript's conversion of a node is, and the way to write it. */
function conversion(hint: string, rewritten: boolean): string {
  if (hint === "string")
    return "a template or a string conversion met an expression of the loss, which has no value while the loss is traced: to see its numbers, return it among outputs, or its mean among metrics";
  if (rewritten)
    return "%, the bitwise operators, ++, -- and functions of Math that lossc does not have mean nothing on an expression of the loss: write it with + - * / **, comparisons, ? : and the functions of lossc (x += 1 for x++, floor for a remainder)";
  return "a native operator met an expression of the loss, in a file whose operators are not rewritten: name the file *.loss.ts and run it with node --import lossc/register, the plugin lossc/vite or the command line, or call the function of the same meaning instead: add(a, b), sub(a, b), mul(a, b), div(a, b), pow(a, b), neg(a), lt(a, b), le(a, b), gt(a, b), ge(a, b)";
}

/** A value in words, for messages. */
export function describe(value: unknown): string {
  if (isExpression(value)) return `an expression in ${value.space} space`;
  if (value === undefined) return "undefined (is the name of the input spelt right?)";
  if (value === null) return "null";
  return typeof value === "object" ? (strangerInWords(value) ?? "an object") : `a ${typeof value}`;
}
