/** Expressions as C++ text: one line per value that is used more than once or grows long, the rest inline. */
import { constantValue, type Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { ONE, opRow } from "../dsl/ops/index.js";
import { isPerEntry } from "../dsl/spaces.js";
import { holdsOwn, isExponential, scaledRow } from "./passes/patterns.js";

/** A float as the shortest decimal that reads back as the same float32. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "as_float(0x7fc00000u)";
  const f = Math.fround(value);
  if (!Number.isFinite(f)) return f > 0 ? "LOSSC_INFINITY" : "-LOSSC_INFINITY";
  for (let digits = 1; digits <= 9; digits++) {
    const text = f.toPrecision(digits);
    if (Math.fround(Number(text)) !== f) continue;
    const short = Object.is(f, -0) ? "-0" : String(Number(text));
    return /[.e]/.test(short) ? `${short}f` : `${short}.0f`;
  }
  return `${f}f`;
}

/** A user's name or text as it may stand in a comment: printable ASCII without what could end or continue the comment. */
export function commentText(name: string): string {
  let text = "";
  for (const c of name) {
    const next = /[A-Za-z0-9 _.:()+-]/.test(c) ? c : `\\u{${(c.codePointAt(0) as number).toString(16)}}`;
    // Cut between characters: half an escape would leave a backslash, which continues a comment on the next line.
    if (text.length + next.length > 120) break;
    text += next;
  }
  return text;
}

const LONG = 72;

/** Operands within operands that are written on one stack: what lies deeper has a line of its own before. */
const DEEP = 100;

/** The two factors of a product, and those of them whose being 0 makes it 0 whatever the other is. */
interface Factors {
  readonly of: readonly Expression[];
  readonly guards: readonly Expression[];
}

export interface RowScope {
  /** The scope around, for what does not depend on the row. */
  readonly outer: Printer;
  /** Values of the scope around that are known not to be 0. */
  readonly nonZero?: ReadonlySet<Expression>;
}

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
    /** Of a scope that holds entries of rows, and so packets: it prints vocabulary forms. */
    private readonly row: RowScope | null = null,
  ) {}

  private get outer(): Printer | null {
    return this.row?.outer ?? null;
  }

  /** Says what stands for x. */
  know(x: Expression, text: string): void {
    this.texts.set(x, text);
  }

  /** Says that these will be printed, so that what they share gets a name. */
  expect(roots: readonly Expression[]): void {
    const use = (x: Expression) => this.uses.set(x, (this.uses.get(x) ?? 0) + 1);
    roots.forEach(use);
    for (const x of topological(roots, (y) => this.stops(y))) if (!this.stops(x)) x.operands.forEach(use);
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
    // What does not depend on the entry is computed outside of the loop over entries.
    if (this.outer && !isPerEntry(x.space)) {
      const text = this.outer.print(x);
      return this.remember(x, /^-?[\w.]+$/.test(text) ? text : this.outer.name(x, text));
    }
    const value = constantValue(x);
    if (value !== undefined) return this.remember(x, x.dtype === "bool" ? String(value !== 0) : floatText(value));
    const leaf = this.leaf(x);
    if (leaf !== null) return this.remember(x, leaf);
    const { form, of } = this.form(x);
    const call = isCall(form(...of.map(() => "a")));
    const operands = of.map((operand) => (call ? this.print(operand) : this.operand(operand)));
    // An operand that stands twice in the text wants a name.
    const named = operands.map((text, i) =>
      form(...of.map(() => "\u0001")).split("\u0001").length - 1 > of.length && !/^\w+$/.test(text)
        ? this.name(of[i] as Expression, text)
        : text,
    );
    const text = form(...named);
    if ((this.uses.get(x) ?? 1) > 1 || text.length > LONG) return this.name(x, text);
    return text;
  }

  /** The text of x as what a sum takes: a product, where conditions hold and what would make it 0 is not 0, is no branch and no product of its own there. */
  summand(x: Expression): string {
    const conditions: string[] = [];
    let term = x;
    while (this.isOpen(term) && term.op === "where" && constantValue(term.operands[2]) === 0) {
      conditions.push(this.operand(term.operands[0]));
      term = term.operands[1];
    }
    const factors = this.isOpen(term) && term.dtype !== "bool" ? this.factors(term) : null;
    if (!factors) {
      const text = this.print(term);
      return conditions.length > 0 ? `only_where(${conditions.join(" & ")}, ${text})` : text;
    }
    return `product_where(${this.guarded(factors, conditions).join(", ")})`;
  }

  /** The text of x as what is stored, the products in it added where they are not 0. Only here: what is compared must have the same bits everywhere. */
  total(x: Expression): string {
    if (!this.isOpen(x)) return this.print(x);
    if (!adds(x)) {
      if (this.factors(x)) this.knowTotals(x);
      return this.print(x);
    }
    const [a, b] = x.operands;
    const product = [b, a].find((y) => (y === b || x.op === "add") && this.isOpen(y) && this.factors(y));
    const factors = product && this.factors(product);
    if (!factors) return this.print(x);
    const rest = this.total(product === b ? a : b);
    this.knowTotals(product);
    const [holds, first, second] = this.guarded(factors, []);
    const text = `plus_product(${rest}, ${holds}, ${x.op === "sub" ? `-(${first})` : first}, ${second})`;
    return text.length > LONG ? this.name(x, text) : text;
  }

  /** Of a product that is stored, the sums are, too. */
  private knowTotals({ operands }: Expression): void {
    for (const y of operands) if (adds(y) && this.isOpen(y)) this.know(y, this.total(y));
  }

  /** The condition for a product, and its two factors. */
  private guarded({ of, guards }: Factors, conditions: readonly string[]): readonly string[] {
    const texts = new Map(of.map((y) => [y, guards.includes(y) ? this.named(y) : this.print(y)]));
    const all = [...conditions, ...guards.map((y) => `(${texts.get(y)} != 0.0f)`)];
    return [all.length > 0 ? all.join(" & ") : "true", ...of.map((y) => texts.get(y) as string)];
  }

  /** Whether x is written here, and here alone. */
  private isOpen(x: Expression): boolean {
    return (this.uses.get(x) ?? 1) <= 1 && !this.stops(x) && constantValue(x) === undefined;
  }

  /** Null of what is no product. */
  private factors(x: Expression): Factors | null {
    switch (x.op) {
      case "mul":
        return { of: x.operands, guards: [] };
      case "chain": {
        const [g] = x.operands;
        return { of: x.operands, guards: this.row?.nonZero?.has(g) ? [] : [g] };
      }
      case "absorb": {
        const [a, b] = x.operands;
        const own = (e: Expression, y: Expression) => isExponential(e) && holdsOwn(e, y);
        return { of: x.operands, guards: a === b || own(a, b) ? [a] : own(b, a) ? [b] : x.operands };
      }
      default:
        return null;
    }
  }

  /** The text of x, a name or a number. */
  private named(x: Expression): string {
    const text = this.print(x);
    return /^-?[\w.]+$/.test(text) ? text : this.name(x, text);
  }

  /** How x is written, and of what. */
  private form(x: Expression): { readonly form: (...operands: string[]) => string; readonly of: readonly Expression[] } {
    const row = opRow(x.op);
    if (!row) throw new Error(`no text for ${x.op}`);
    if (x.op === "exponent") {
      const [z, m] = x.operands;
      // A factor of the row scales the factor that its exponents have anyway.
      const scaled = scaledRow(z);
      if (scaled && scaled.factor !== ONE) return { form: row.text.write, of: [scaled.row, m, scaled.factor] };
    }
    const [first, second] = x.op === "absorb" ? (this.factors(x)?.guards ?? []) : [];
    if (this.row && first && !second)
      return { form: (e, d) => `chain_(${e}, ${d})`, of: [first, x.operands.find((y) => y !== first) ?? first] };
    if (x.op === "chain" && this.row?.nonZero?.has(x.operands[0])) return { form: (g, d) => `${g} * ${d}`, of: x.operands };
    return { form: ((this.row && row.rowText) || row.text).write, of: x.operands };
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

type Sum = Extract<Expression, { readonly op: "add" | "sub" }>;
const adds = (x: Expression): x is Sum => x.op === "add" || x.op === "sub";

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
