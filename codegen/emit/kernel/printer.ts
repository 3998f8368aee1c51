/** Expressions as C++ text: one line per value that is used more than once or grows long, the rest inline. */
import { constantValue, type Expression } from "../../../dsl/expression.js";
import { topological } from "../../../dsl/graph.js";
import { opRow, type Text } from "../../../dsl/ops/index.js";
import { isPerEntry } from "../../../dsl/spaces.js";
import type { GuardedProduct, Summand, Total } from "../../passes/rows/record.js";
import { floatText } from "../text.js";

const LONG = 72;

/** Operands within operands that are written on one stack: what lies deeper has a line of its own before. */
const DEEP = 100;

/** A value as it is printed: an expression, or one that is summed or stored. */
export type Printed = Expression | Summand | Total;

/**
 * Prints expressions into lines of one scope. `leaf` gives the text of what is not computed here (loads, folds that are done); within it the printer
 * may be called again.
 */
export class Printer {
  private readonly texts = new Map<Expression, string>();
  private readonly uses = new Map<Expression, number>();
  private isPrinting = false;

  constructor(
    private readonly lines: string[],
    private readonly indent: string,
    /** Text for a node that is not computed from its operands in this scope, or null. */
    private readonly leaf: (x: Expression) => string | null,
    /** Names of new values. */
    private readonly fresh: (prefix: string) => string,
    /** The scope around one of entries of rows, for values that do not depend on the entry. */
    private readonly outer: Printer | null = null,
  ) {}

  /** Says what stands for x. */
  know(x: Expression, text: string): void {
    this.texts.set(x, text);
  }

  /** Notes that these will be printed, so that a value that several of them share gets a name. */
  expect(values: readonly Printed[]): void {
    const { roots, ends } = partsOf(values);
    const use = (x: Expression) => this.uses.set(x, (this.uses.get(x) ?? 0) + 1);
    const isEnd = (x: Expression) => ends.has(x) || this.stops(x);
    roots.forEach(use);
    for (const x of topological(roots, isEnd)) if (!isEnd(x)) x.operands.forEach(use);
  }

  private stops(x: Expression): boolean {
    return (
      this.texts.has(x) ||
      // Before its leaf is asked for, which would load what nobody reads.
      constantValue(x) !== undefined ||
      (this.outer !== null && !isPerEntry(x.space)) ||
      x.op === "fold" ||
      x.op === "at" ||
      this.leaf(x) !== null
    );
  }

  /** The text of x, safe as an operand of anything. */
  operand(x: Expression): string {
    const text = this.print(x);
    return /^-?[\w.]+$|^\w+\([^()]*\)$/.test(text) || isCall(text) ? text : `(${text})`;
  }

  /** The text of x; lines that it needs are written before. */
  print(x: Expression): string {
    if (this.isPrinting) return this.textOf(x);
    this.isPrinting = true;
    const heights = new Map<Expression, number>();
    for (const y of topological([x], (z) => this.stops(z))) {
      const height = this.stops(y) ? 0 : 1 + Math.max(0, ...y.operands.map((z) => heights.get(z) ?? 0));
      if (height === DEEP) this.name(y);
      heights.set(y, height % DEEP);
    }
    const text = this.textOf(x);
    this.isPrinting = false;
    return text;
  }

  private textOf(x: Expression): string {
    const known = this.texts.get(x);
    if (known !== undefined) return known;
    // A value that does not depend on the entry is computed outside of the loop over entries.
    if (this.outer && !isPerEntry(x.space)) {
      const text = this.outer.print(x);
      return this.remember(x, /^-?[\w.]+$/.test(text) ? text : this.outer.name(x, text));
    }
    const value = constantValue(x);
    if (value !== undefined) return this.remember(x, x.dtype === "bool" ? String(value !== 0) : floatText(value));
    const leaf = this.leaf(x);
    if (leaf !== null) return this.remember(x, leaf);
    const write = this.writer(x);
    const operands = x.operands.map((operand) =>
      isCall(write(...x.operands.map(() => "a"))) ? this.print(operand) : this.operand(operand),
    );
    // An operand that stands twice in the text wants a name.
    const places = write(...x.operands.map(() => "\u0001")).split("\u0001").length - 1;
    const named = x.operands.map((y, i) => {
      const text = operands[i] as string;
      return places > x.operands.length && !/^\w+$/.test(text) ? this.name(y, text) : text;
    });
    const text = write(...named);
    if ((this.uses.get(x) ?? 1) > 1 || text.length > LONG) return this.name(x, text);
    return text;
  }

  /** The text of a value in whichever form it has. */
  printed(value: Printed): string {
    if (!("kind" in value)) return this.print(value);
    return value.kind === "summand" ? this.summand(value) : this.total(value);
  }

  private summand({ conditions, x, product }: Summand): string {
    const texts = conditions.map((c) => this.operand(c));
    if (product) return `product_where(${this.guarded(product, texts).join(", ")})`;
    const text = this.print(x);
    return texts.length > 0 ? `only_where(${texts.join(" & ")}, ${text})` : text;
  }

  private total({ x, added, inner }: Total): string {
    const rest = added && this.total(added.rest);
    for (const one of inner) this.know(one.x, this.total(one));
    if (!added) return this.print(x);
    const [holds, first, second] = this.guarded(added.product, []);
    const text = `plus_product(${rest}, ${holds}, ${added.minus ? `-(${first})` : first}, ${second})`;
    return text.length > LONG ? this.name(x, text) : text;
  }

  /** The condition for a product, and its two factors. */
  private guarded({ factors, guards }: GuardedProduct, conditions: readonly string[]): readonly string[] {
    const texts = new Map(factors.map((y) => [y, guards.includes(y) ? this.named(y) : this.print(y)]));
    const all = [...conditions, ...guards.map((y) => `(${texts.get(y)} != 0.0f)`)];
    return [all.length > 0 ? all.join(" & ") : "true", ...factors.map((y) => texts.get(y) as string)];
  }

  /** The text of x, a name or a number. */
  private named(x: Expression): string {
    const text = this.print(x);
    return /^-?[\w.]+$/.test(text) ? text : this.name(x, text);
  }

  private writer({ op }: Expression): Text["write"] {
    const row = opRow(op);
    if (!row) throw new Error(`no text for ${op}`);
    return ((this.outer && row.rowText) || row.text).write;
  }

  /** Gives x a line of its own. */
  name(x: Expression, text = this.print(x)): string {
    const known = this.texts.get(x);
    if (known !== undefined && /^\w+$/.test(known)) return known;
    const name = this.fresh(x.dtype === "bool" ? "b" : "v");
    this.lines.push(`${this.indent}const auto ${name} = ${text};`);
    return this.remember(x, name);
  }

  private remember(x: Expression, text: string): string {
    this.texts.set(x, text);
    return text;
  }
}

/** The expressions that are printed one by one, and within them those that are printed in a form of their own. */
function partsOf(values: readonly Printed[]): { readonly roots: Expression[]; readonly ends: Set<Expression> } {
  const roots: Expression[] = [];
  const ends = new Set<Expression>();
  const visitInner = (one: Total) => {
    if (!one.added) return one.inner.forEach(visitInner);
    ends.add(one.x);
    visit(one);
  };
  const visit = (value: Printed) => {
    if (!("kind" in value)) roots.push(value);
    else if (value.kind === "summand") roots.push(...value.conditions, ...(value.product?.factors ?? [value.x]));
    else {
      if (value.added) {
        visit(value.added.rest);
        roots.push(...value.added.product.factors);
      } else roots.push(value.x);
      value.inner.forEach(visitInner);
    }
  };
  values.forEach(visit);
  return { roots, ends };
}

/** Whether the text is one call from end to end. */
function isCall(text: string): boolean {
  const open = /^\w+\(/.exec(text);
  if (!open || !text.endsWith(")")) return false;
  let depth = 0;
  for (let i = open[0].length - 1; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")" && --depth === 0) return i === text.length - 1;
  }
  return false;
}
