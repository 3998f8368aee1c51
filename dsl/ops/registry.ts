/**
 * The table of ops. A row owns everything that is known of an op: arity, dtypes, JavaScript evaluation, derivative (written in the language
 * itself) and kernel text. A new op is one new row and its tests.
 */
import { LosscError } from "../errors.js";
import { constant, constantValue, type Expr, Expression, finestOf, type Num, toExpression } from "../expression.js";
import { callerPosition } from "../position.js";

/** One elementwise op: its operands broadcast to the finest of their spaces, where the result lives. */
export interface OpRow {
  readonly name: string;
  /** dtype of each operand; `any` takes both and, where there are several, all of the same. */
  readonly takes: readonly ("number" | "bool" | "any")[];
  /** `same`: the dtype of the last operand. */
  readonly gives: "number" | "bool" | "same";
  /** The value in float64; truth values are 0 and 1. */
  readonly evaluate: (...values: number[]) => number;
  /**
   * What reaches each operand of the adjoint `g`, null where nothing ever does. Products with an adjoint are written with `chain`, so that an adjoint
   * of exactly 0 stays 0.
   */
  readonly gradient: ((g: Expression, self: Expression, ...operands: Expression[]) => readonly (Expression | null)[]) | null;
  /** C++ text of the value, given the operands' texts; each operand is a name, a number or in parentheses. */
  readonly text: (...operands: string[]) => string;
  /** The same in vocab space where it differs. */
  readonly rowText?: (...operands: string[]) => string;
}

/** What {@link defineOp} gives: a node to the compiler, a number to the author. */
export type Built = Expression & Expr;
export type Operand = Num | Expression;
export type Builder<N extends number> = (
  ...operands: N extends 1 ? [Operand] : N extends 2 ? [Operand, Operand] : [Operand, Operand, Operand]
) => Built;

const table = new Map<string, OpRow>();

/** The row of an elementwise op; undefined for leaves and for ops that change the space. */
export function opRow(name: string): OpRow | undefined {
  return table.get(name);
}

/** Every row, in the order of definition. */
export function opRows(): readonly OpRow[] {
  return [...table.values()];
}

/** Adds a row and gives the function that builds nodes of it. Constants are folded as they meet. */
export function defineOp<N extends 1 | 2 | 3>(row: OpRow & { readonly takes: { readonly length: N } }): Builder<N> {
  table.set(row.name, row);
  return ((...given: Operand[]) => build(row, given)) as unknown as Builder<N>;
}

/** Builds a node of the row of that name; for passes that rebuild a graph. */
export function rebuild(name: string, operands: readonly Expression[]): Expression {
  return build(table.get(name) as OpRow, operands);
}

function build(row: OpRow, given: readonly Operand[]): Expression {
  if (given.length !== row.takes.length) {
    throw new LosscError("UNSUPPORTED_SYNTAX", `${row.name}() takes ${row.takes.length} operands; it was given ${given.length}`, {
      position: callerPosition(),
    });
  }
  const mixed = row.takes.filter((kind) => kind === "any").length > 1 && new Set(given.map(dtypeOf)).size > 1;
  const operands = given.map((x, i) =>
    coerce(row, toExpression(x, `${row.name}()`), mixed && row.takes[i] === "any" ? "number" : (row.takes[i] as "number")),
  );
  const values = operands.map(constantValue);
  const dtype = row.gives === "same" ? (operands.at(-1) as Expression).dtype : row.gives === "bool" ? "bool" : "f32";
  if (values.every((value) => value !== undefined)) {
    const value = row.evaluate(...(values as number[]));
    return constant(dtype === "bool" ? value !== 0 : value);
  }
  return Expression.intern(row.name, operands, finestOf(operands), dtype);
}

function dtypeOf(x: Operand): string {
  return x instanceof Expression ? x.dtype : typeof x === "boolean" ? "bool" : "f32";
}

/** A truth value in arithmetic counts 1 or 0; a number is no truth value unless it is a plain one. */
function coerce(row: OpRow, x: Expression, wanted: "number" | "bool" | "any"): Expression {
  if (wanted === "number" && x.dtype === "bool") return build(table.get("where") as OpRow, [x, 1, 0]);
  if (wanted === "bool" && x.dtype !== "bool") {
    const value = constantValue(x);
    if (value !== undefined) return constant(value !== 0 && !Number.isNaN(value));
    throw new LosscError(
      "UNSUPPORTED_SYNTAX",
      `${row.name}() asks whether something is true, and a number is neither true nor false: compare first, say gt(x, 0) (x > 0 in a *.loss.ts)`,
      {
        position: callerPosition(),
      },
    );
  }
  return x;
}
