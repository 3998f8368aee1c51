/**
 * The table of elementwise ops. A row owns everything that is known of an op: arity, dtypes, evaluation in JavaScript, derivative (written in the
 * language itself), lowering, kernel text and the sign of formulas. A part that an op does not have is `null`; one that is missing does not compile.
 */
import { LosscError } from "../errors.js";
import {
  constant,
  constantValue,
  type Expression,
  isExpression,
  NO_ATTRIBUTE,
  Node,
  type Operand,
  type OperandsOf,
  toExpression,
} from "../expression.js";
import { callerPosition } from "../position.js";
import { join } from "../spaces.js";
import type { ElementwiseOp, Op } from "./names.js";

/** The C++ text of a value. */
export interface Text {
  /** The text, given the operands' texts; each operand is a name, a number or in parentheses. */
  readonly write: (...operands: string[]) => string;
  /** The prelude's function that is called, null where the text is an operator. */
  readonly callee: string | null;
}

export const call = (callee: string): Text => ({ write: (...operands) => `${callee}(${operands.join(", ")})`, callee });
export const infix = (sign: string): Text => ({ write: (a, b) => `${a} ${sign} ${b}`, callee: null });
export const text = (write: Text["write"]): Text => ({ write, callee: null });

/** An X for each operand. */
type Each<X, Operands extends readonly unknown[]> = { readonly [I in keyof Operands]: X };
/** dtype of an operand; `any` takes both and, where there are several, all of the same. */
type Taken = "number" | "bool" | "any";

/** One elementwise op: its operands broadcast to where their spaces join, and there the result lives. */
export interface OpRow<O extends ElementwiseOp = ElementwiseOp> {
  /**
   * Its place among ops in the order of operands that commute. A new op takes the next number, which `test/dsl/ops/order.test.ts` names: the kernels
   * of other losses then stay as they are.
   */
  readonly order: number;
  readonly takes: Each<Taken, OperandsOf<O>>;
  /** `same`: the dtype of the last operand. */
  readonly gives: "number" | "bool" | "same";
  /** The value in float64; truth values are 0 and 1. */
  readonly evaluate: (...values: Each<number, OperandsOf<O>>) => number;
  /**
   * The adjoint of each operand, given the adjoint `g` of the result; null where nothing ever reaches it. Products with an adjoint are written with
   * `mulAdjoint`, so that an adjoint of exactly 0 stays 0.
   */
  readonly gradient:
    | ((g: Expression, self: Expression, ...operands: OperandsOf<O>) => Each<Expression | null, OperandsOf<O>>)
    | null;
  /** The expression that takes its place when the gradient is known. */
  readonly lower: ((...operands: OperandsOf<O>) => Expression) | null;
  readonly text: Text;
  /** The text among entries of a row, where it differs. */
  readonly rowText: Text | null;
  /**
   * How the CPU gets it for packets of entries and for values per row. `lanes`: the function that its text calls is known for one number, and is
   * called lane by lane. `packets`: the prelude has the function for packets, which is lifted to values per row. `any`: the text takes every kind of
   * value.
   */
  readonly packet: "lanes" | "packets" | "any";
  /** The name or sign that stands for it in formulas; null where formulas write it in a way of their own. */
  readonly notation: string | null;
}

export type OpRows<O extends ElementwiseOp> = { readonly [K in O]: OpRow<K> };
export type Builder<O extends ElementwiseOp> = (...operands: Each<Operand, OperandsOf<O>>) => Expression;
export type Builders<O extends ElementwiseOp> = { readonly [K in O]: Builder<K> };

/** A row whose op is not known: it takes lists. */
export interface AnyRow extends Omit<OpRow, "takes" | "evaluate" | "gradient" | "lower"> {
  readonly takes: readonly Taken[];
  readonly evaluate: (...values: number[]) => number;
  readonly gradient: ((g: Expression, self: Expression, ...operands: Expression[]) => readonly (Expression | null)[]) | null;
  readonly lower: ((...operands: Expression[]) => Expression) | null;
}

const table = new Map<Op, AnyRow>();

/** Puts rows into the table, and gives the functions that build nodes of them. */
export function defineOps<O extends ElementwiseOp>(rows: OpRows<O>): Builders<O> {
  const builders: Record<string, (...given: Operand[]) => Expression> = {};
  for (const [name, row] of Object.entries(rows) as [O, AnyRow][]) {
    table.set(name, row);
    builders[name] = (...given) => build(name, row, given);
  }
  return builders as Builders<O>;
}

/** The row of an elementwise op; undefined for all others. */
export function opRow(op: Op): AnyRow | undefined {
  return table.get(op);
}

/** Every row by its name. */
export function opRows(): readonly (readonly [name: ElementwiseOp, row: AnyRow])[] {
  return [...table] as [ElementwiseOp, AnyRow][];
}

/** Builds a node of the row of that name; for passes that rebuild a graph. */
export function rebuild(op: ElementwiseOp, operands: readonly Operand[]): Expression {
  return build(op, table.get(op) as AnyRow, operands);
}

/** Constants are folded as they meet. */
function build(op: ElementwiseOp, row: AnyRow, given: readonly Operand[]): Expression {
  if (given.length !== row.takes.length) {
    throw new LosscError("UNSUPPORTED_SYNTAX", `${op}() takes ${row.takes.length} operands; it was given ${given.length}`, {
      position: callerPosition(),
    });
  }
  const mixed = row.takes.filter((kind) => kind === "any").length > 1 && new Set(given.map(dtypeOf)).size > 1;
  const operands = row.takes.map((taken, i) =>
    coerce(op, toExpression(given[i], `${op}()`), mixed && taken === "any" ? "number" : taken),
  );
  const dtype = row.gives === "same" ? dtypeOf(operands.at(-1)) : row.gives === "bool" ? "bool" : "f32";
  const values = operands.map(constantValue).filter((value) => value !== undefined);
  if (values.length === operands.length) {
    const value = row.evaluate(...values);
    return constant(dtype === "bool" ? value !== 0 : value);
  }
  return Node.of(op, operands, join(operands.map(({ space }) => space)), dtype, NO_ATTRIBUTE);
}

function dtypeOf(x: Operand | undefined): "f32" | "bool" {
  return isExpression(x) ? x.dtype : typeof x === "boolean" ? "bool" : "f32";
}

/** A truth value in arithmetic counts 1 or 0; a number is no truth value unless it is a plain one. */
function coerce(op: ElementwiseOp, x: Expression, wanted: Taken): Expression {
  if (wanted === "number" && x.dtype === "bool") return rebuild("where", [x, 1, 0]);
  if (wanted === "bool" && x.dtype !== "bool") {
    const value = constantValue(x);
    if (value !== undefined) return constant(value !== 0 && !Number.isNaN(value));
    throw new LosscError(
      "UNSUPPORTED_SYNTAX",
      `${op}() asks whether something is true, and a number is neither true nor false: compare first, say gt(x, 0) (x > 0 in a *.loss.ts)`,
      { position: callerPosition() },
    );
  }
  return x;
}
