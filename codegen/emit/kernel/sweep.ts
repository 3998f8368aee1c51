/** The body of a sweep: rows are opened, folded phase by phase, and turned into their gradient. */
import type { Expression } from "../../../dsl/expression.js";
import { FOLDS, ONE, type RowLeaf } from "../../../dsl/ops/index.js";
import {
  areSums,
  type FoldedEntries,
  isZeroGradient,
  type Maximum,
  type Merge,
  type Phase,
  type RowGradient,
  type RowKernel,
} from "../../passes/rows/record.js";
import type { ProgramRows } from "../../program.js";
import type { trafficOf } from "../../schedule/traffic.js";
import { commentText, floatText } from "../text.js";
import { Body, type BodyOptions } from "./body.js";
import { type LambdaOptions, type RowLambda, Rows } from "./rows.js";

export class SweepBody extends Body {
  /** See {@link PlanKernel.exchanged}. */
  exchanged = 0;
  private readonly rows: Rows;
  private readonly read: ProgramRows;
  /** The work on rows, after every pass. */
  private readonly kernel: RowKernel;

  constructor(options: BodyOptions) {
    super(options, "t");
    const { program, rows } = options;
    if (!program.rows || !rows) throw new Error(`"${program.name}" reads no rows`);
    this.read = program.rows;
    this.kernel = rows;
    this.rows = new Rows(this.printer, this.fresh, rows.leaf);
  }

  main(): string[] {
    const { kernel, options, args } = this;
    const { planned, buffers } = options;
    this.reads();
    this.lines.push(`    const auto place = place_of(${args.rows()}, t, a.first);`);
    // Rows are on their way before anything else is waited for.
    for (const x of kernel.rows) this.open(x);
    const index = args.buffer(buffers.input(this.read.index));
    this.lines.push(`    const auto named = load_index(${index}, t, ${args.size("vocab")}, ${this.status()});`);
    this.printer.expect([...planned.stores, ...planned.checks, ...(kernel.gradient?.zeroWhere ?? []), ...kernel.perToken]);
    this.phases();
    this.stores("put(team, ");
    if (kernel.gradient) this.storeGradient(kernel.gradient);
    return [
      "  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {",
      ...this.lines,
      "  }",
    ];
  }

  private get leafName(): string {
    return commentText(this.read.leaf.attribute.name);
  }

  protected what(): string {
    const { program, schedule } = this.options;
    return `sweep ${this.options.planned.time.sweep} of ${schedule.sweeps} of "${commentText(program.name)}", one row of ${this.leafName} per token.`;
  }

  protected override does(): string[] {
    const { depth, gradient } = this.kernel;
    return [
      ...(depth > 0 ? [`folds the row in ${depth} phases`] : []),
      ...(gradient ? [`writes the gradient of ${this.leafName}`] : []),
      ...super.does(),
    ];
  }

  protected traffic({ perEntry, perToken }: ReturnType<typeof trafficOf>): string {
    return `${perEntry} bytes per entry of its row and ${perToken} more`;
  }

  private open(x: RowLeaf): void {
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
    for (const x of this.kernel.entries) {
      const [row] = x.operands;
      const what = `${commentText(nameOf(row))} at ${commentText(this.read.index)}`;
      this.define(x, `when(reads, 0.0f, [&] { return at(${this.rows.name(row)}, named); })`, what);
    }
    this.kernel.phases.forEach((phase, i, phases) => {
      // A team may leave the cached value where the leaf lies, so nothing may ask for these any more.
      const of = i === phases.length - 1 ? this.kernel.cachedExp : null;
      if (phase.merge) this.merged(phase, phase.merge, of);
      else this.phase(phase, of);
    });
  }

  private define(x: Expression, text: string, comment: string): void {
    const name = this.fresh("r");
    this.done.set(x, name);
    this.lines.push(`    const auto ${name} = ${text};  // ${comment}`);
  }

  /** The call that folds, in one loop over the row. */
  private foldCall(
    how: "fold" | "fold_part",
    folds: readonly FoldedEntries[],
    indent: string,
    options: LambdaOptions = {},
  ): string {
    const lambda = this.rows.lambda(
      folds.map(({ value }) => value),
      options,
    );
    const kinds = folds.map(({ fold }) => FOLDS[fold.attribute.kind].text).join(", ");
    const map = lambda.text(`${areSums(folds) ? "summands" : "values"}(${lambda.texts.join(", ")})`, indent);
    return `${how}<${kinds}>(team, ${map}, ${this.taken("cache_exp", lambda, options, indent)})`;
  }

  /** The rows that a fold or the store is called with; where a cached value stands for the entry, the function that computes it as well. */
  private taken(how: "cache_exp" | "cached_exp", { rows }: RowLambda, { of, names }: LambdaOptions, indent: string): string {
    if (!of) return rows.join(", ");
    const lambda = this.rows.lambda([of], names && { names });
    return `${how}(${this.gradientBuffer()}, place, ${lambda.rows.join(", ")}, ${lambda.text(lambda.texts.join(", "), indent)})`;
  }

  private gradientBuffer(): string {
    return this.args.buffer(this.options.buffers.gradient(this.read.leaf), true);
  }

  /** Defines folds by what the lines return, in their order: lines that only a team whose row is read runs. */
  private folded(folds: readonly FoldedEntries[], lines: readonly string[]): void {
    const name = this.fresh("f");
    const otherwise = folds.map(({ unread }) => floatText(unread)).join(", ");
    this.lines.push(`    const auto ${name} = when(reads, values(${otherwise}), [&] {`, ...lines, "    });");
    folds.forEach(({ fold }, i) => {
      this.define(fold, `${name}.v[${i}]`, `${fold.attribute.kind} over the row`);
    });
    this.exchanged = Math.max(this.exchanged, folds.length);
  }

  /** Folds that share one loop over the row. */
  private phase({ folds }: Phase, of: Expression | null): void {
    this.folded(folds, [`      return ${this.foldCall("fold", folds, "      ", { of })};`]);
  }

  /** Maxima and the sums that need them: every part of the row takes its sums from its own maxima. */
  private merged({ folds }: Phase, { maxima, rules }: Merge, of: Expression | null): void {
    const own = new Map(maxima.map(({ fold }) => [fold, this.fresh("m")]));
    const first = this.maxima(maxima);
    const second = this.foldCall("fold_part", folds, "      ", { names: own, of });
    this.folded(
      [...maxima, ...folds],
      [
        ...first,
        ...maxima.map(({ fold }, i) => `      const auto ${own.get(fold)} = base_(team, maxima.v[${i}]);`),
        `      const auto sums = ${second};`,
        `      return merge_partials<${rules.join(", ")}>(team, maxima, sums);`,
      ],
    );
  }

  /** Lines that define `maxima`. Those of rows as they are, and such as a factor scales, have shorter ways. */
  private maxima(folds: readonly Maximum[]): string[] {
    const indent = "      ";
    const lines: string[] = [];
    const named = (call: string) => {
      const name = this.fresh("m");
      lines.push(`${indent}const auto ${name} = ${call};`);
      return name;
    };
    const others = folds.filter(({ scaled }) => !scaled);
    const otherMaxima = others.length > 0 ? named(this.foldCall("fold_part", others, indent)) : "";
    const tops = new Map<Expression, string>();
    const texts = folds.map((x) => {
      const { scaled: of } = x;
      if (!of) return `${otherMaxima}.v[${others.indexOf(x)}]`;
      const row = this.rows.name(of.row);
      const top = tops.get(of.row) ?? named(`fold_part<Max>(team, ${row})`);
      tops.set(of.row, top);
      return of.factor === ONE ? `${top}.v[0]` : `scaled_max(team, ${top}, ${this.printer.operand(of.factor)}, ${row})`;
    });
    return [...lines, `${indent}const auto maxima = values(${texts.join(", ")});`];
  }

  private storeGradient(gradient: RowGradient): void {
    const { others, named, zeroWhere } = gradient;
    const out = this.gradientBuffer();
    if (isZeroGradient(gradient)) {
      this.lines.push(`    fill_row(team, ${out}, place, ${this.args.size("vocab")}, 0.0f);`);
      return;
    }
    const zeros = zeroWhere.map((x) => `${this.printer.operand(x)} == 0.0f`);
    const zero = zeros.length > 1 ? zeros.map((text) => `(${text})`).join(" & ") : zeros[0];
    const options = { among: this.rows.withLeaf([others.x, named]), of: this.kernel.cachedExp };
    const map = this.rows.lambda([others], options);
    const mend = this.rows.lambda([named], options);
    const indent = " ".repeat(19);
    const rows = this.taken("cached_exp", map, options, indent);
    this.lines.push(
      `    store_gradient(team, ${out}, place, t, ${this.args.size("vocab")}, named, ${this.status()}, ${zero ? `either(!reads, ${zero})` : "!reads"},`,
      `${indent}${map.text(map.texts[0] as string, indent)},`,
      `${indent}${mend.text(mend.texts[0] as string, indent)},`,
      `${indent}${rows});`,
    );
  }
}

/** A row for people: an input, or the entries' numbers. */
const nameOf = (x: Expression): string => (x.op === "input" ? x.attribute.name : x.op);
