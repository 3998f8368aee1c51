/** The rows that a sweep reads: how they are opened, and functions of one entry of them. */
import type { Expression } from "../../../dsl/expression.js";
import { topological } from "../../../dsl/graph.js";
import { isPerEntry } from "../../../dsl/spaces.js";
import { type Printed, Printer } from "./printer.js";

/** A function of one entry of rows that are read together. */
export interface RowLambda {
  /** The values, entry by entry. */
  readonly texts: readonly string[];
  /** The rows that it is called with. */
  readonly rows: readonly string[];
  /** The function that returns a result made of the texts, its lines indented by so much. */
  readonly text: (result: string, indent: string) => string;
}

export interface LambdaOptions {
  /** The rows that it takes, where not those that the roots read. */
  readonly among?: readonly Expression[];
  /** Names that stand for values in place of their usual ones. */
  readonly names?: ReadonlyMap<Expression, string>;
  /** The value that it is a function of in place of the rows' entries. */
  readonly of?: Expression | null;
}

/** The name of the value that stands for an entry. */
const CACHED = "e";

export class Rows {
  /** Names of row and entry. */
  private readonly opened = new Map<Expression, { readonly name: string; readonly entry: string }>();

  constructor(
    private readonly printer: Printer,
    private readonly fresh: (prefix: string) => string,
    /** The row that every other stands beside. */
    private readonly leaf: Expression,
  ) {}

  /** The line that opens a row by a function of the prelude. `of`: what it takes of the row, as text. */
  open(x: Expression, how: "open" | "open_shared" | "open_indices", of: string): string {
    const number = this.opened.size === 0 ? "" : String(this.opened.size);
    const others = [...this.opened.values()].map(({ name }) => `, ${name}`).join("");
    this.opened.set(x, { name: `row${number}`, entry: `z${number}` });
    return `    const auto row${number} = ${how}(team, reads, ${of}${others});`;
  }

  name(x: Expression): string {
    return this.of(x).name;
  }

  /** The leaf, and the other rows that the roots read: what a store takes. */
  withLeaf(roots: readonly Expression[]): Expression[] {
    return this.readBy([this.leaf, ...roots]);
  }

  /** The function of one entry of the rows that gives the values. */
  lambda(values: readonly Printed[], { among, names, of }: LambdaOptions = {}): RowLambda {
    const lines: string[] = [];
    const entry = (x: Expression) => this.opened.get(x)?.entry ?? null;
    const printer = new Printer(lines, "", entry, this.fresh, this.printer);
    for (const [x, name] of names ?? []) printer.know(x, name);
    if (of) printer.know(of, CACHED);
    printer.expect(values);
    const used = among ?? this.readBy(values.flatMap(expressionsOf));
    const rows = (used.length > 0 ? used : [this.leaf]).map((row) => this.of(row));
    const entries = of ? [CACHED] : rows.map((row) => row.entry);
    const texts = values.map((value) =>
      expressionsOf(value).some(({ space }) => isPerEntry(space))
        ? printer.printed(value)
        : `as_entry(${entries[0]}, ${printer.printed(value)})`,
    );
    const head = `[&](${entries.map((name) => `auto ${name}`).join(", ")}) {`;
    const text = (result: string, indent: string) =>
      lines.length === 0
        ? `${head} return ${result}; }`
        : [head, ...lines.map((line) => `${indent}  ${line}`), `${indent}  return ${result};`, `${indent}}`].join("\n");
    return { texts, rows: rows.map((row) => row.name), text };
  }

  /** The rows that computing the roots entry by entry reads; folds are done by then. */
  private readBy(roots: readonly Expression[]): Expression[] {
    const read = new Set(topological(roots, ({ space }) => !isPerEntry(space)));
    return [...this.opened.keys()].filter((row) => read.has(row));
  }

  private of(x: Expression): { readonly name: string; readonly entry: string } {
    return this.opened.get(x) as { name: string; entry: string };
  }
}

const expressionsOf = (value: Printed): readonly Expression[] =>
  "kind" in value ? (value.kind === "summand" ? [...value.conditions, value.x] : [value.x]) : [value];
