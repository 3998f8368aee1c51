/** How a tidy expression is written down. */
import type { Expression } from "../../dsl/expression.js";
import { type Fold, isLeaf, type Leaf, logSoftmax, opRow, softmax } from "../../dsl/ops/index.js";
import type { Reduction } from "../../dsl/ops/names.js";
import { logits, policyLogprobs, weights } from "../../dsl/policy.js";
import { printableName } from "../../dsl/printable.js";
import { isPerEntry, pluralOf, type Space } from "../../dsl/spaces.js";
import { isRowSum, pickedOf, reduced } from "./nodes.js";
import {
  factorsOf,
  fromProduct,
  isIndicator,
  isSum,
  isTieShare,
  number,
  type Product,
  productOf,
  termsOf,
  times,
} from "./products.js";
import {
  ATOM,
  atom,
  indexed,
  NEGATIVE,
  numberText,
  PRODUCT,
  QUOTIENT,
  raisedText,
  SUM,
  SYMBOLS,
  type Written,
} from "./symbols.js";

/** Σ p log p, whose negative is the policy's entropy. */
export const NEGATIVE_ENTROPY = reduced(
  "sum",
  fromProduct(times(productOf(softmax(logits)), productOf(logSoftmax(logits)))),
  "token",
);

/** The longest text of a part; an ellipsis stands for a longer one. Shared parts without a name would else be written out wherever they occur. */
const LONGEST = 1000;

/** Writes expressions, with the names given to some of them. Remembers which conventions it used. */
export class Notation {
  /** Whether a tie of min or max was written as a plain comparison. */
  ties = false;
  readonly used = new Set<string>();

  constructor(
    private readonly names: ReadonlyMap<Expression, string>,
    /** Names that inputs and config have already. */
    private readonly taken: ReadonlySet<string> = new Set(),
  ) {}

  /** `index`: which entry of the vocabulary is meant. `whole`: the definition of a name rather than the name. */
  text(x: Expression, { index = "v", whole = false }: { readonly index?: string; readonly whole?: boolean } = {}): string {
    return this.top(x, index, whole).text;
  }

  /** As a factor of something else. */
  factor(x: Expression): string {
    const written = this.top(x, "v");
    return written.level >= PRODUCT ? written.text : `(${written.text})`;
  }

  /** The expression that was asked for is written whole, however long it is; its parts are not. */
  private top(x: Expression, index: string, whole = false): Written {
    return !whole && this.names.has(x) ? this.write(x, index) : this.spell(x, index);
  }

  private write(x: Expression, index: string): Written {
    const name = this.names.get(x);
    return name === undefined ? this.spelled(x, index) : atom(indexed(name, isPerEntry(x.space) ? index : ""));
  }

  private symbol(letter: string, index = ""): Written {
    this.used.add(letter);
    return atom(indexed(letter, index));
  }

  private user(name: string, where: string, index = ""): Written {
    return atom(indexed(printableName(SYMBOLS.has(name) ? `${where}.${name}` : name), index));
  }

  private spelled(x: Expression, index: string): Written {
    // A text that was written before a name was given does not hold the name.
    if (this.known.names !== this.names.size) this.known = { names: this.names.size, texts: new Map() };
    const key = `${x.id} ${index}`;
    let written = this.known.texts.get(key);
    if (!written) {
      written = this.spell(x, index);
      if (written.text.length > LONGEST) written = atom("…");
      this.known.texts.set(key, written);
    }
    return written;
  }
  private known = { names: 0, texts: new Map<string, Written>() };

  private spell(x: Expression, index: string): Written {
    if (isSum(x)) return this.sum(termsOf(x), index);
    if (x === NEGATIVE_ENTROPY) return { text: `−${this.symbol("H").text}`, level: NEGATIVE };
    const product = productOf(x);
    if (product.factor !== 1 || product.powers.size !== 1 || product.powers.get(x) !== 1) return this.product(product, index);
    return this.single(x, index);
  }

  private sum(terms: readonly Product[], index: string): Written {
    let text = "";
    for (const term of this.ordered(terms)) {
      const written = this.product(term, index);
      const negative = written.text.startsWith("−");
      const size = negative ? written.text.slice(1) : written.text;
      text += text === "" ? written.text : ` ${negative ? "−" : "+"} ${size}`;
    }
    return { text, level: SUM };
  }

  /** A sum starts with a term that is not subtracted, if there is one. */
  private ordered(terms: readonly Product[]): readonly Product[] {
    const sign = (term: Product) => (this.isNegative(term) ? 1 : 0);
    return [...terms].sort((a, b) => sign(a) - sign(b));
  }

  private isNegative(product: Product): boolean {
    return this.isBelowZero(product) && !this.turned(product);
  }

  private isBelowZero({ factor, powers }: Product): boolean {
    return factor < 0 !== ((powers.get(NEGATIVE_ENTROPY) ?? 0) % 2 !== 0);
  }

  /** The factor that takes a minus sign in: −(a − b) is b − a. */
  private turned(product: Product): Expression | undefined {
    if (!this.isBelowZero(product)) return undefined;
    return [...product.powers].find(([x, n]) => n === 1 && this.turns(x))?.[0];
  }

  private turns(x: Expression): boolean {
    if (this.names.has(x) || x === NEGATIVE_ENTROPY) return false;
    if (isRowSum(x)) return [...productOf(x.operands[0]).powers].some(([y, n]) => n === 1 && this.turns(y));
    return x.op === "sub";
  }

  private negated(x: Expression, index: string): Written {
    if (isRowSum(x)) return this.rowSum(times(number(-1), productOf(x.operands[0])));
    return this.sum(
      termsOf(x).map((term) => times(number(-1), term)),
      index,
    );
  }

  private rowSum(product: Product): Written {
    const inner = this.product(product, "u");
    return { text: `Σ_u ${inner.level >= QUOTIENT ? inner.text : `(${inner.text})`}`, level: NEGATIVE };
  }

  private product(given: Product, index: string): Written {
    const all = factorsOf(given);
    if (all.length === 0) return this.number(given.factor);
    const turned = this.turned(given);
    const write = (x: Expression) => (x === turned ? this.negated(x, index) : this.positive(x, index));
    const negative = this.isNegative(given);
    const size = Math.abs(given.factor);
    const list = all.filter(([x]) => !this.isKnownTie(x, given));
    const above = list.filter(([, m]) => m > 0).map(([x, m]) => raisedText(write(x), m, PRODUCT));
    const below = list.filter(([, m]) => m < 0).map(([x, m]) => raisedText(write(x), m, NEGATIVE));
    if (size !== 1) above.unshift(numberText(size));
    const alone = above.length === 1 && below.length === 0;
    if (alone && size === 1) {
      const [[x, m]] = list as [[Expression, number]];
      const written = m === 1 ? write(x) : { text: above[0] as string, level: ATOM };
      return negative ? { text: `−${written.level >= NEGATIVE ? written.text : `(${written.text})`}`, level: NEGATIVE } : written;
    }
    const numerator = above.length === 0 ? "1" : above.join("·");
    const text = below.length === 0 ? numerator : `${numerator} / ${below.length === 1 ? below[0] : `(${below.join("·")})`}`;
    return { text: negative ? `−${text}` : text, level: below.length === 0 ? PRODUCT : QUOTIENT };
  }

  /** A factor without the sign that stands before the product. */
  private positive(x: Expression, index: string): Written {
    if (x === NEGATIVE_ENTROPY) return this.symbol("H");
    return this.names.has(x) || isSum(x) ? this.write(x, index) : this.single(x, index);
  }

  private number(value: number): Written {
    return { text: `${value < 0 ? "−" : ""}${numberText(Math.abs(value))}`, level: value < 0 ? NEGATIVE : ATOM };
  }

  /** Half of an adjoint where min or max has a tie: left to the words beside the formula where the comparison stands there already. */
  private isKnownTie(x: Expression, product: Product): boolean {
    if (!isTieShare(x)) return false;
    const [c] = x.operands;
    const sides = new Set<Expression>(c.operands);
    const compares = (y: Expression): boolean => {
      if (isSum(y)) return termsOf(y).some(({ powers }) => [...powers.keys()].some(compares));
      if (!isIndicator(y)) return false;
      const [comparison] = y.operands;
      return ["le", "ge"].includes(comparison.op) && comparison.operands.every((side) => sides.has(side));
    };
    const tie = [...product.powers.keys()].some(compares);
    if (tie) this.ties = true;
    return tie;
  }

  private single(x: Expression, index: string): Written {
    const inside = (y: Expression, at = index) => this.write(y, at).text;
    if (isLeaf(x)) return this.leaf(x, index);
    switch (x.op) {
      case "logprobAt": {
        const [z] = x.operands;
        return z === logits ? this.symbol("ℓ") : atom(`log softmax(${inside(z, "")})[y]`);
      }
      case "rowLogsumexp": {
        const [z] = x.operands;
        return z === logits ? { text: `log ${this.symbol("Z").text}`, level: NEGATIVE } : atom(`logsumexp(${inside(z, "")})`);
      }
      case "softmax": {
        const [z] = x.operands;
        return z === logits ? this.symbol("p", index) : atom(`softmax(${inside(z, "")})${indexed("", index)}`);
      }
      case "logSoftmax": {
        const [z] = x.operands;
        return z === logits
          ? { text: `log ${this.symbol("p", index).text}`, level: NEGATIVE }
          : atom(`log softmax(${inside(z, "")})${indexed("", index)}`);
      }
      case "at":
        this.used.add("y");
        return this.write(x.operands[0], "y");
      case "fold":
        return this.fold(x, index);
      case "reduce":
        return this.reduction(x);
      case "where": {
        const [c, a, b] = x.operands;
        if (isIndicator(x)) return atom(`[${this.condition(c, index)}]`);
        return atom(`(${inside(a)} if ${this.condition(c, index)}, else ${inside(b)})`);
      }
      case "pow": {
        const parts = x.operands.map((y) => this.write(y, index)).map(({ text, level }) => (level === ATOM ? text : `(${text})`));
        return atom(parts.join("^"));
      }
      // How far an entry lies below its row's maximum is kept as a power of two.
      case "exponent":
        return atom(`(${this.distance(x.operands, index)})·log₂ e`);
      case "exp2": {
        const [a] = x.operands;
        return a.op === "exponent" ? atom(`exp(${this.distance(a.operands, index)})`) : atom(`2^(${inside(a)})`);
      }
      case "abs":
        return atom(`|${inside(x.operands[0])}|`);
      case "floor":
        return atom(`⌊${inside(x.operands[0])}⌋`);
      case "stopGradient":
        return atom(`stop(${inside(x.operands[0])})`);
      default:
        if (x.dtype === "bool" && x.op !== "isFinite") return { text: this.condition(x, index), level: SUM };
        return atom(`${opRow(x.op)?.notation ?? x.op}(${x.operands.map((y) => inside(y)).join(", ")})`);
    }
  }

  private leaf(x: Leaf, index: string): Written {
    switch (x.op) {
      case "constant":
        return x.dtype === "bool" ? atom(x.attribute.value ? "true" : "false") : this.number(x.attribute.value);
      case "config":
        return this.user(x.attribute.name, "config");
      case "input":
        return this.input(x, index);
      case "isAt":
        this.used.add("y");
        return atom(`1[${index} = y]`);
      case "index":
        return atom(indexed("index", index));
      case "placeInGroup":
        return atom("place in group");
    }
  }

  private input(x: Extract<Expression, { readonly op: "input" }>, index: string): Written {
    if (x === weights) return this.symbol("w");
    if (x === policyLogprobs) return this.symbol("ℓ");
    if (x === logits) return this.symbol("z", index);
    return this.user(x.attribute.name, "inputs", isPerEntry(x.space) ? index : "");
  }

  private distance([x, from]: readonly [Expression, Expression], index: string): string {
    const { text, level } = this.write(from, index);
    return `${this.write(x, index).text} − ${level === ATOM ? text : `(${text})`}`;
  }

  private condition(x: Expression, index: string): string {
    const side = (y: Expression) => this.write(y, index).text;
    const sign = opRow(x.op)?.notation;
    switch (x.op) {
      case "eq":
      case "ne":
      case "lt":
      case "le":
      case "gt":
      case "ge": {
        const [a, b] = x.operands;
        if (x.op === "eq" && a.op === "placeInGroup") return `sequence ${side(b)} of its group`;
        return `${side(a)} ${sign} ${side(b)}`;
      }
      case "and":
      case "or": {
        const [a, b] = x.operands;
        if (x.op === "and" && a.op === "ge" && b.op === "le" && a.operands[0] === b.operands[0])
          return `${side(a.operands[1])} ≤ ${side(a.operands[0])} ≤ ${side(b.operands[1])}`;
        return `${this.nested(a, index)} ${sign} ${this.nested(b, index)}`;
      }
      case "not":
        return `${sign} ${this.nested(x.operands[0], index)}`;
      default:
        return this.single(x, index).text;
    }
  }

  private nested(x: Expression, index: string): string {
    return x.op === "and" || x.op === "or" ? `(${this.condition(x, index)})` : this.condition(x, index);
  }

  private fold(x: Fold, index: string): Written {
    const { picks, from } = x.attribute;
    const picked = pickedOf(x);
    if (picked) return atom(`pick(${this.write(picked, index).text}, ${picks})`);
    const [y] = x.operands;
    if (y.op === "constant" && y.attribute.value === 1) return this.count(from, x.space);
    return atom(`Σ(${this.write(y, index).text} over ${pluralOf(from)})`);
  }

  private count(from: Space, to: Space): Written {
    if (isPerEntry(from)) return this.symbol("V");
    const of = to === "batch" ? "" : ` of the ${to}`;
    if (from === "token") return to === "batch" ? this.symbol("N") : atom(`#tokens${of}`);
    return atom(`#${pluralOf(from)}${of}`);
  }

  private reduction(x: Extract<Expression, { readonly op: "reduce" }>): Written {
    const { reduction, unbiased } = x.attribute;
    const [y] = x.operands;
    if (isPerEntry(y.space) && x.space === "token") {
      if (isRowSum(x)) return this.names.has(y) || isSum(y) ? this.rowSum(single(y)) : this.rowSum(productOf(y));
      return atom(`${reductionName(reduction)}_u(${this.write(y, "u").text})`);
    }
    const axis = x.space === "batch" ? "" : `, ${pluralOf(y.space)}`;
    return atom(`${reductionName(reduction)}(${this.write(y, "u").text}${axis}${unbiased ? "" : ", biased"})`);
  }

  isNamed(x: Expression): boolean {
    return this.names.has(x);
  }

  /** Whether a name is free for something that has none yet, as things stand. */
  freeNames(): (name: string) => boolean {
    const used = new Set([...SYMBOLS, ...this.taken, ...this.names.values(), "u", "L"]);
    return (name) => !used.has(name);
  }
}

const reductionName = (reduction: Reduction): string => (reduction === "amax" ? "max" : reduction === "amin" ? "min" : reduction);

const single = (x: Expression): Product => ({ factor: 1, powers: new Map([[x, 1]]) });
