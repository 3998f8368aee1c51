/** The body of a sweep: rows are opened, folded phase by phase, and turned into their gradient. */
import { constantValue, type Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { FOLDS, type Index, type Input, neg, ONE, type RowFold } from "../dsl/ops/index.js";
import { isPerEntry } from "../dsl/spaces.js";
import { Body, type BodyOptions } from "./body.js";
import { type GradientParts, gradientParts, isNothing } from "./entries.js";
import { gathered } from "./gathered.js";
import { rootsOf } from "./keep.js";
import { isExponential, scaledRow } from "./passes/patterns.js";
import { zeroWhere } from "./passes/zero-at-masked.js";
import type { ProgramRows } from "./program.js";
import { isCoarseFold, isRowFold, isRowValue, type RowValue } from "./ranks.js";
import { type Rebased, rebased } from "./rebase.js";
import { type LambdaOptions, type RowLambda, Rows } from "./rows.js";
import { SWEEP } from "./schedule.js";
import { commentText } from "./text.js";
import type { trafficOf } from "./traffic.js";

export class SweepBody extends Body {
  /** See {@link PlanKernel.exchanged}. */
  exchanged = 0;
  private readonly rows: Rows;
  private readonly read: ProgramRows;
  private readonly number: number;
  /** Of a sweep that writes it. */
  private readonly gradient: GradientParts | null;
  /** What the last sums and the gradient are made of, where that is one exponential of an entry of the logits. */
  private derived: Expression | null = null;
  /** What is computed of the rows. */
  private readonly roots: readonly Expression[];
  /** Row values that this sweep computes: those of its own rank that it or a later kernel needs. */
  private readonly values: readonly RowValue[];

  constructor(options: BodyOptions) {
    super(options, "t");
    const { slot, schedule, kept, program, buffers } = options;
    if (!program.rows) throw new Error(`"${program.name}" reads no rows`);
    this.read = program.rows;
    this.rows = new Rows(this.printer, this.fresh, this.read.leaf);
    this.number = slot.time / SWEEP;
    this.gradient = slot.gradient ? gradientParts(program) : null;
    this.roots = [...rootsOf(program, slot), ...kept];
    this.values = topological(this.roots)
      .filter(isRowValue)
      .filter((x) => schedule.ranks.rank(x) === this.number && !buffers.isStoredBefore(x, slot));
  }

  main(): string[] {
    const { gradient, options, args } = this;
    const { slot, buffers } = options;
    this.reads();
    this.lines.push(`    const auto place = place_of(${args.rows()}, t, a.first);`);
    // Rows are on their way before anything else is waited for.
    const inWhole = topological(this.roots, isCoarseFold);
    const inputs = topological(this.roots)
      .filter((x) => x.op === "input" || x.op === "index")
      .filter((x) => x.space === "vocab" || (isPerEntry(x.space) && inWhole.includes(x)));
    for (const x of new Set([this.read.leaf, ...inputs])) this.open(x);
    const targets = args.buffer(buffers.input(this.read.index));
    this.lines.push(`    const auto target = load_target(${targets}, t, ${args.size("vocab")}, ${this.status()});`);
    const rows = [...this.values.map(operandOf), ...(gradient ? [gradient.offTarget, gradient.target] : [])];
    this.printer.expect([...slot.stores, ...slot.checks, ...(gradient?.factors ?? []), ...rows.flatMap(tokenPartsOf)]);
    this.phases();
    this.stores("put(team, ");
    if (gradient) this.storeGradient(gradient);
    return [
      "  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {",
      ...this.lines,
      "  }",
    ];
  }

  protected what(): string {
    const { program, schedule } = this.options;
    return `sweep ${this.number} of ${schedule.sweeps} of "${commentText(program.name)}", one row of logits per token.`;
  }

  protected override does(): string[] {
    const { phase } = this.options.schedule.ranks;
    return [
      ...(this.values.length > 0 ? [`folds the row in ${Math.max(...this.values.map(phase), 1)} phases`] : []),
      ...(this.gradient ? ["writes the gradient of the logits"] : []),
      ...super.does(),
    ];
  }

  protected traffic({ perEntry, perToken }: ReturnType<typeof trafficOf>): string {
    return `${perEntry} bytes per vocabulary entry and ${perToken} more`;
  }

  private open(x: Input | Index): void {
    const vocab = () => this.args.size("vocab");
    if (x.op === "index") {
      this.lines.push(this.rows.open(x, "open_indices", vocab()));
      return;
    }
    const pointer = this.args.buffer(this.options.buffers.input(x.attribute.name));
    // The leaf's rows of some tokens alone may be in memory; other inputs have one for every token.
    const place = x === this.read.leaf ? "place" : "t";
    if (x.space === "entry") this.lines.push(this.rows.open(x, "open_shared", `${pointer}, ${vocab()}`));
    else this.lines.push(this.rows.open(x, "open", `${pointer}, ${place}, ${vocab()}`));
  }

  private phases(): void {
    const { values } = this;
    for (const x of values) {
      if (x.op !== "at") continue;
      const [row] = x.operands;
      const what = row === this.read.leaf ? "the target's logit" : `the target's entry of ${commentText(nameOf(row))}`;
      this.define(x, `when(reads, 0.0f, [&] { return at(${this.rows.name(row)}, target); })`, what);
    }
    const folds = values.filter(isRowFold);
    const { phase } = this.options.schedule.ranks;
    const numbers = [...new Set(folds.map(phase))].sort((a, b) => a - b);
    const phases = numbers.map((number) => folds.filter((x) => phase(x) === number));
    for (let i = 0; i < phases.length; i++) {
      const [first, second] = phases.slice(i) as [RowFold[], RowFold[] | undefined];
      const together = second && rebased(first, second);
      if (together) i++;
      // A team may leave it where the logits lie, so nothing may ask for these any more.
      if (i === phases.length - 1) this.derived = this.derivedOf(together ? together.sums : first);
      if (together) this.met(together);
      else this.phase(first);
    }
  }

  private define(x: Expression, text: string, comment: string): void {
    const name = this.fresh("r");
    this.done.set(x, name);
    this.lines.push(`    const auto ${name} = ${text};  // ${comment}`);
  }

  /** The call that folds, in one loop over the row. */
  private foldCall(how: "fold" | "fold_part", folds: readonly RowFold[], indent: string, options: LambdaOptions = {}): string {
    const summands = folds.every(({ attribute }) => attribute.kind === "sum");
    const lambda = this.rows.lambda(folds.map(operandOf), { ...options, ...(summands && { to: "summand" }) });
    const kinds = folds.map((x) => FOLDS[x.attribute.kind].text).join(", ");
    const map = lambda.text(`${summands ? "summands" : "values"}(${lambda.texts.join(", ")})`, indent);
    return `${how}<${kinds}>(team, ${map}, ${this.taken("derive", lambda, options, indent)})`;
  }

  /** What a fold or the store takes: rows, or the logits' by the function of an entry that gives `of`. */
  private taken(how: "derive" | "derived", { rows }: RowLambda, { of, names }: LambdaOptions, indent: string): string {
    if (!of) return rows.join(", ");
    const lambda = this.rows.lambda([of], names && { names });
    return `${how}(${this.gradientBuffer()}, place, ${lambda.rows.join(", ")}, ${lambda.text(lambda.texts.join(", "), indent)})`;
  }

  private gradientBuffer(): string {
    return this.args.buffer(this.options.buffers.gradient(this.read.leaf), true);
  }

  /** Defines folds by what the lines return, in their order: lines that only a team whose row is read runs. */
  private folded(folds: readonly RowFold[], lines: readonly string[]): void {
    const name = this.fresh("f");
    const isZero = zeroWhere(this.read.mask);
    // A row that is not read has the adjoints of a token of weight 0; 1 stands for a sum of exponentials, whose logarithm is then 0.
    const otherwise = folds.map((x) => (x.attribute.kind === "sum" && !isZero(x) ? "1.0f" : "0.0f")).join(", ");
    this.lines.push(`    const auto ${name} = when(reads, values(${otherwise}), [&] {`, ...lines, "    });");
    folds.forEach((x, i) => {
      this.define(x, `${name}.v[${i}]`, `${x.attribute.kind} over the row`);
    });
    this.exchanged = Math.max(this.exchanged, folds.length);
  }

  /** Folds that share one loop over the row. */
  private phase(folds: readonly RowFold[]): void {
    this.folded(folds, [`      return ${this.foldCall("fold", folds, "      ", { of: this.derived })};`]);
  }

  /** Maxima and the sums that need them: every part of the row takes its sums from its own maxima. */
  private met({ maxima, sums, rules }: Rebased): void {
    const own = new Map(maxima.map((x) => [x, this.fresh("m")]));
    const first = this.maxima(maxima);
    const second = this.foldCall("fold_part", sums, "      ", { names: own, of: this.derived });
    this.folded(
      [...maxima, ...sums],
      [
        ...first,
        ...maxima.map((x, i) => `      const auto ${own.get(x)} = base_(team, maxima.v[${i}]);`),
        `      const auto sums = ${second};`,
        `      return meet<${rules.join(", ")}>(team, maxima, sums);`,
      ],
    );
  }

  /** Lines that define `maxima`. Those of rows as they are, and such as a factor scales, have shorter ways. */
  private maxima(folds: readonly RowFold[]): string[] {
    const indent = "      ";
    const lines: string[] = [];
    const named = (call: string) => {
      const name = this.fresh("m");
      lines.push(`${indent}const auto ${name} = ${call};`);
      return name;
    };
    const scaled = folds.map((x) => scaledRow(operandOf(x)));
    const others = folds.filter((_, i) => !scaled[i]);
    const apart = others.length > 0 ? named(this.foldCall("fold_part", others, indent)) : "";
    const tops = new Map<Expression, string>();
    const texts = folds.map((x, i) => {
      const of = scaled[i];
      if (!of) return `${apart}.v[${others.indexOf(x)}]`;
      const row = this.rows.name(of.row);
      const top = tops.get(of.row) ?? named(`fold_part<Max>(team, ${row})`);
      tops.set(of.row, top);
      return of.factor === ONE ? `${top}.v[0]` : `scaled_max(team, ${top}, ${this.printer.operand(of.factor)}, ${row})`;
    });
    return [...lines, `${indent}const auto maxima = values(${texts.join(", ")});`];
  }

  /** The exponential of the logits' entry that alone tells sums and gradient of the row; null where they ask for more. */
  private derivedOf(folds: readonly RowFold[]): Expression | null {
    const { gradient, rows } = this;
    if (!gradient || isNothing(gradient)) return null;
    const { offTarget, target } = gradient;
    const found = topological([offTarget], (x) => !isPerEntry(x.space)).find(isExponential);
    if (!found || rows.readBy([found]).some((row) => row !== this.read.leaf)) return null;
    return rows.readBy([...folds.map(operandOf), offTarget, target], found).length === 0 ? found : null;
  }

  private storeGradient(gradient: GradientParts): void {
    const { offTarget, target, factors } = gradient;
    const out = this.gradientBuffer();
    if (isNothing(gradient)) {
      this.lines.push(`    fill_row(team, ${out}, place, ${this.args.size("vocab")}, 0.0f);`);
      return;
    }
    const zeros = factors.map((x) => `${this.printer.operand(x)} == 0.0f`);
    const zero = zeros.length > 1 ? zeros.map((text) => `(${text})`).join(" & ") : zeros[0];
    const [single] = factors.length === 1 ? factors : [];
    const nonZero = new Set(single ? [single, neg(single), ...(single.op === "neg" ? single.operands : [])] : []);
    const options = { among: this.rows.withLeaf([offTarget, target]), nonZero, of: this.derived };
    const map = this.rows.lambda([gathered(offTarget, { value: this.derived, nonZero, zero: factors.length > 0 })], {
      ...options,
      to: "total",
    });
    const mend = this.rows.lambda([target], options);
    const indent = " ".repeat(19);
    const rows = this.taken("derived", map, options, indent);
    this.lines.push(
      `    store_gradient(team, ${out}, place, t, ${this.args.size("vocab")}, target, ${this.status()}, ${zero ? `either(!reads, ${zero})` : "!reads"},`,
      `${indent}${map.text(map.texts[0] as string, indent)},`,
      `${indent}${mend.text(mend.texts[0] as string, indent)},`,
      `${indent}${rows});`,
    );
  }
}

const operandOf = ({ operands: [x] }: RowValue): Expression => x;
/** The input that a row is. */
const nameOf = (x: Expression): string => (x.op === "input" ? x.attribute.name : "");

/** The largest parts of a vocabulary expression that do not depend on the entry. */
function tokenPartsOf(root: Expression): Expression[] {
  const found = new Set<Expression>();
  for (const x of topological([root])) {
    for (const y of isPerEntry(x.space) && x.op !== "fold" ? x.operands : []) if (!isPerEntry(y.space)) found.add(y);
  }
  return [...found].filter((x) => constantValue(x) === undefined);
}
