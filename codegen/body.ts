/** Writes the body of one kernel: the same text for every target. */
import { constantValue, type Expression } from "../dsl/expression.js";
import { topological } from "../dsl/graph.js";
import { logits, neg, weights } from "../dsl/ops/index.js";
import { Arguments } from "./arguments.js";
import type { Buffers } from "./buffers.js";
import { type GradientParts, gradientParts } from "./entries.js";
import type { LossGraph } from "./expand.js";
import { type ElementSpace, type PlanKernel, STATUS } from "./plan.js";
import { isRowValue } from "./ranks.js";
import { type Rebased, rebased } from "./rebase.js";
import { Rows } from "./rows.js";
import { type Schedule, type Slot, SWEEP } from "./schedule.js";
import { commentText, floatText, Printer } from "./text.js";
import { trafficOf } from "./traffic.js";

const FOLDS: Readonly<Record<string, string>> = { sum: "Sum", max: "Max", min: "Min" };

export interface BodyOptions {
  readonly id: string;
  readonly graph: LossGraph;
  readonly schedule: Schedule;
  readonly slot: Slot;
  readonly buffers: Buffers;
  /** Row values of this sweep that later kernels load. */
  readonly kept: readonly Expression[];
}

export function writeKernel(options: BodyOptions): PlanKernel {
  const { id, slot } = options;
  const kind = slot.time % SWEEP === 0 ? "sweep" : "step";
  const writer = new Body(options);
  const main = kind === "sweep" ? writer.sweep() : writer.step();
  const tails = writer.tails();
  const body = [
    ...writer.comment(kind),
    `struct ${id.toUpperCase()} {`,
    "  struct Args {",
    ...writer.args.text,
    "  };",
    ...main,
    ...tails,
    "};",
  ].join("\n");
  return { id, kind, space: slot.space, arguments: writer.args.list, exchanged: writer.exchanged, body };
}

class Body {
  readonly args: Arguments;
  private readonly lines: string[] = [];
  private readonly printer: Printer;
  private readonly indices = new Map<ElementSpace, string>();
  private names = 0;
  /** See {@link PlanKernel.exchanged}. */
  exchanged = 0;
  private readonly rows: Rows;
  /** Row values that this sweep has folded. */
  private readonly done = new Map<Expression, string>();
  private readonly sweepNumber: number;
  /** Of a sweep that writes it. */
  private readonly gradient: GradientParts | null;
  /** What a sweep computes of its rows. */
  private readonly rowRoots: readonly Expression[];
  /** Row values that this sweep computes: those of its own rank that it or a later kernel needs. */
  private readonly rowValues: readonly Expression[];

  constructor(private readonly options: BodyOptions) {
    const { slot, schedule, kept, graph, buffers } = options;
    const { space } = slot;
    this.args = new Arguments(space);
    this.indices.set(space, space === "token" ? "t" : "i");
    this.sweepNumber = slot.time / SWEEP;
    this.gradient = slot.gradient ? gradientParts(graph.gradient as Expression) : null;
    const ofGradient = this.gradient ? [this.gradient.apart, this.gradient.target, ...this.gradient.factors] : [];
    this.rowRoots = [...slot.stores, ...slot.summands, ...kept, ...ofGradient];
    this.rowValues = topological(this.rowRoots).filter(
      (x) => isRowValue(x) && schedule.ranks.rank(x) === this.sweepNumber && !buffers.isStoredBefore(x, slot),
    );
    this.printer = new Printer(this.lines, "    ", (x) => this.leaf(x), this.fresh);
    this.rows = new Rows(this.printer, this.fresh);
  }

  private readonly fresh = (prefix: string) => `${prefix}${this.names++}`;

  comment(kind: "sweep" | "step"): string[] {
    const { graph, schedule, slot, id } = this.options;
    const what =
      kind === "sweep"
        ? `${id}: sweep ${this.sweepNumber} of ${schedule.sweeps} of "${commentText(graph.name)}", one row of logits per ${slot.space}.`
        : `${id}: a step of "${commentText(graph.name)}", one ${slot.space} at a time.`;
    const does = [
      ...(kind === "sweep" && this.rowValues.length > 0
        ? [`folds the row in ${Math.max(...this.rowValues.map((x) => schedule.ranks.phase(x)), 1)} phases`]
        : []),
      ...(slot.gradient ? ["writes the gradient of the logits"] : []),
      ...(slot.folds.length > 0
        ? [`folds ${slot.folds.length} ${slot.folds.length === 1 ? "value" : "values"} per ${slot.space}`]
        : []),
    ];
    const { perEntry, perToken } = trafficOf(this.args.list, this.options.buffers.list);
    const bytes = kind === "sweep" ? `${perEntry} bytes per vocabulary entry, ${perToken} beside` : `${perToken} bytes`;
    return [`// ${what}`, ...(does.length > 0 ? [`// It ${does.join(", ")}.`] : []), `// Traffic per token: ${bytes}.`];
  }

  // ---- the two kinds ----

  sweep(): string[] {
    const { gradient, options } = this;
    const { slot } = options;
    const targets = options.buffers.input("target_tokens");
    const weight = this.leafText(weights as Expression);
    this.lines.push(`    const auto reads = either(${this.args.skipMasked()} == 0, ${weight} != 0.0f);`);
    this.lines.push(
      `    const auto target = load_target(${this.args.buffer(targets)}, t, ${this.args.size("vocab")}, ${this.status()});`,
    );
    this.lines.push(`    const auto place = place_of(${this.args.rows()}, t, a.first);`);
    for (const x of [logits, ...this.rowsIn(this.rowRoots)]) this.openRow(x);
    const rows = [
      ...this.rowValues.map((x) => x.operands[0] as Expression),
      ...(gradient ? [gradient.apart, gradient.target] : []),
    ];
    this.printer.expect([...slot.stores, ...slot.summands, ...(gradient?.factors ?? []), ...rows.flatMap(tokenPartsOf)]);
    this.phases();
    this.stores();
    if (gradient) this.storeGradient(gradient);
    return [
      "  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {",
      ...this.lines,
      "  }",
    ];
  }

  step(): string[] {
    this.printer.expect([...this.options.slot.stores, ...this.options.slot.summands]);
    this.stores();
    return [
      `  LOSSC_FN static void element(const Args& a, index ${this.indices.get(this.options.slot.space)}) {`,
      ...this.lines,
      "  }",
    ];
  }

  tails(): string[] {
    const { slot, buffers } = this.options;
    const lines = slot.folds.map((f) => {
      const between = [slot.space, f.space as ElementSpace] as const;
      const { values, partials, counters, result } = buffers.fold(f, slot.space);
      const runs =
        between[1] === "batch"
          ? `Whole{${this.args.size(slot.space)}}`
          : `Runs{${this.args.size(between[1])}, ${["of", "begin", "base"].map((kind) => this.args.buffer(buffers.structure(kind as "of", between))).join(", ")}}`;
      const places = [
        this.args.buffer(values),
        this.args.buffer(partials, true),
        this.args.buffer(counters, true),
        this.args.buffer(result, true),
      ];
      return `    fold_tail<${FOLDS[f.attribute.kind as string]}>(team, ${runs}, first, count, ${places.join(", ")});`;
    });
    const head = "  template <class Team> LOSSC_FN static void tails(const Args&";
    if (lines.length === 0) return [`${head}, const Team&, index, index) {}`];
    return [`${head} a, const Team& team, index first, index count) {`, ...lines, "  }"];
  }

  // ---- rows ----

  private phases(): void {
    const values = this.rowValues;
    for (const x of values.filter(({ op }) => op === "atTarget")) {
      const [row] = x.operands as [Expression];
      const what = row === logits ? "the target's logit" : `the target's entry of ${commentText(row.attribute.name as string)}`;
      this.define(x, `when(reads, 0.0f, [&] { return at(${this.rows.name(row)}, target); })`, what);
    }
    const folds = values.filter(({ op }) => op === "fold");
    const { phase } = this.options.schedule.ranks;
    const numbers = [...new Set(folds.map(phase))].sort((a, b) => a - b);
    const phases = numbers.map((number) => folds.filter((x) => phase(x) === number));
    for (let i = 0; i < phases.length; i++) {
      const [first, second] = phases.slice(i) as [Expression[], Expression[] | undefined];
      const together = second && rebased(first, second);
      if (together) {
        this.met(together);
        i++;
      } else this.phase(first);
    }
  }

  private define(x: Expression, text: string, comment: string): void {
    const name = this.fresh("r");
    this.done.set(x, name);
    this.lines.push(`    const auto ${name} = ${text};  // ${comment}`);
  }

  /** The call that folds, in one loop over the row. */
  private foldCall(
    how: "fold" | "fold_part",
    folds: readonly Expression[],
    indent: string,
    names?: ReadonlyMap<Expression, string>,
  ): string {
    const lambda = this.rows.lambda(
      folds.map((x) => x.operands[0] as Expression),
      names && { names },
    );
    const kinds = folds.map((x) => FOLDS[x.attribute.kind as string]).join(", ");
    return `${how}<${kinds}>(team, ${lambda.text(`values(${lambda.texts.join(", ")})`, indent)}, ${lambda.rows.join(", ")})`;
  }

  /** Defines folds by what the lines return, in their order: lines that only a team whose row is read runs. */
  private folded(folds: readonly Expression[], lines: readonly string[]): void {
    const name = this.fresh("f");
    const otherwise = folds.map(({ attribute }) => (attribute.kind === "sum" ? "1.0f" : "0.0f")).join(", ");
    this.lines.push(`    const auto ${name} = when(reads, values(${otherwise}), [&] {`, ...lines, "    });");
    folds.forEach((x, i) => {
      this.define(x, `${name}.v[${i}]`, `${x.attribute.kind as string} over the row`);
    });
    this.exchanged = Math.max(this.exchanged, folds.length);
  }

  /** Folds that share one loop over the row. */
  private phase(folds: readonly Expression[]): void {
    this.folded(folds, [`      return ${this.foldCall("fold", folds, "      ")};`]);
  }

  /** Maxima and the sums that need them: every part of the row takes its sums from its own maxima. */
  private met({ maxima, sums, rules }: Rebased): void {
    const own = new Map(maxima.map((x) => [x, this.fresh("m")]));
    const first = this.foldCall("fold_part", maxima, "      ");
    const second = this.foldCall("fold_part", sums, "      ", own);
    this.folded(
      [...maxima, ...sums],
      [
        `      const auto maxima = ${first};`,
        ...maxima.map((x, i) => `      const auto ${own.get(x)} = base_(team, maxima.v[${i}]);`),
        `      const auto sums = ${second};`,
        `      return meet<${rules.join(", ")}>(team, maxima, sums);`,
      ],
    );
  }

  /** The rows that an expression reads, entry by entry. */
  private rowsIn(roots: readonly Expression[]): Expression[] {
    return topological(roots).filter((x) => x.space === "vocab" && x.op === "input");
  }

  private openRow(x: Expression): void {
    const buffer = this.options.buffers.input(x === logits ? "logits" : (x.attribute.name as string));
    // The logits of some tokens alone may be in memory; what else has rows has one for every token.
    const place = x === logits ? "place" : "t";
    this.lines.push(this.rows.open(x, this.args.buffer(buffer), place, this.args.size("vocab")));
  }

  private storeGradient({ apart, target, factors }: GradientParts): void {
    const out = this.args.buffer(this.options.buffers.gradient(), true);
    const nothing = constantValue(apart) === 0 && constantValue(target) === 0;
    if (nothing) {
      this.lines.push(`    fill_row(team, ${out}, place, ${this.args.size("vocab")}, 0.0f);`);
      return;
    }
    const zeros = factors.map((x) => `${this.printer.operand(x)} == 0.0f`);
    const zero = zeros.length > 1 ? zeros.map((text) => `(${text})`).join(" & ") : zeros[0];
    const among = this.rows.withLogits([apart, target]);
    const single = factors.length === 1 ? (factors[0] as Expression) : null;
    const nonZero = new Set(single ? [single, neg(single) as Expression] : []);
    const map = this.rows.lambda([apart], { among, nonZero });
    const mend = this.rows.lambda([target], { among, nonZero });
    const indent = " ".repeat(19);
    this.lines.push(
      `    store_gradient(team, ${out}, place, t, ${this.args.size("vocab")}, target, ${this.status()}, ${zero ? `either(!reads, ${zero})` : "!reads"},`,
      `${indent}${map.text(map.texts[0] as string, indent)},`,
      `${indent}${mend.text(mend.texts[0] as string, indent)},`,
      `${indent}${map.rows.join(", ")});`,
    );
  }

  // ---- values per element ----

  private stores(): void {
    const { slot, buffers, kept } = this.options;
    const index = this.indices.get(slot.space) as string;
    const call = slot.time % SWEEP === 0 ? "put(team, " : "store(";
    const stored = [...slot.stores].map((x) => ({ x, buffer: buffers.store(x, slot.space) }));
    const rowValues = kept.filter((x) => !slot.stores.has(x)).map((x) => ({ x, buffer: buffers.store(x, "token") }));
    for (const { x, buffer } of [...stored, ...rowValues]) {
      this.lines.push(`    ${call}${this.args.buffer(buffer, true)}, ${index}, ${this.printer.print(x)});`);
    }
    // The gradient of logits is looked at where it is stored, row by row.
    const { from, gradient } = this.options.graph;
    const flagged =
      from === "policy_logprobs" && slot.space === "token" && gradient && slot.stores.has(gradient) ? [gradient] : [];
    for (const x of [...slot.summands, ...flagged]) {
      const word = STATUS[slot.space as "token" | "sequence" | "group"];
      this.lines.push(`    flag_non_finite(${this.status()}, ${word}, ${index}, ${this.printer.print(x)});`);
    }
  }

  /** Text of what is not computed here: leaves, folds, and what an earlier kernel stored. */
  private leaf(x: Expression): string | null {
    const done = this.done.get(x);
    if (done !== undefined) return done;
    const stored = this.options.buffers.isStoredBefore(x, this.options.slot);
    if (stored) return this.named(x, `load(${this.args.buffer(stored)}, ${this.index(x.space as ElementSpace)})`);
    return this.leafText(x);
  }

  private leafText(x: Expression): string | null {
    const { buffers } = this.options;
    switch (x.op) {
      case "config":
        return this.named(x, `float(${this.args.config(x.attribute.name as string)})`);
      case "placeInGroup": {
        const first = this.args.buffer(buffers.structure("begin", ["sequence", "group"]));
        return this.named(x, `number(${this.index("sequence")} - read(${first}, ${this.index("group")}))`);
      }
      case "policyLogprobs":
        return this.named(x, `load(${this.args.buffer(buffers.input("policy_logprobs"))}, ${this.index("token")})`);
      case "input": {
        const buffer = buffers.input(x.attribute.name as string);
        const [pointer, index] = [this.args.buffer(buffer), this.index(x.space as ElementSpace)];
        if (buffer.dtype === "i32") return this.named(x, `number(read(${pointer}, ${index}))`);
        return this.named(
          x,
          buffer.default === undefined
            ? `load(${pointer}, ${index})`
            : `load_or(${pointer}, ${index}, ${floatText(buffer.default)})`,
        );
      }
      case "fold":
        return this.named(x, `load(${this.args.buffer(buffers.foldResult(x))}, ${this.index(x.space as ElementSpace)})`);
      default:
        return null;
    }
  }

  private readonly loaded = new Map<Expression, string>();
  private named(x: Expression, text: string): string {
    let name = this.loaded.get(x);
    if (name === undefined) {
      name = this.fresh("x");
      this.loaded.set(x, name);
      this.lines.push(`    const auto ${name} = ${text};`);
    }
    return name;
  }

  /** The index of the element of a coarser space that this kernel's element belongs to. */
  private index(space: ElementSpace): string {
    if (space === "batch") return "0";
    const known = this.indices.get(space);
    if (known !== undefined) return known;
    const finer: ElementSpace = space === "group" ? "sequence" : "token";
    const text = `read(${this.args.buffer(this.options.buffers.structure("of", [finer, space]))}, ${this.index(finer)})`;
    const name = this.fresh("i");
    this.lines.push(`    const auto ${name} = ${text};`);
    this.indices.set(space, name);
    return name;
  }

  private status(): string {
    return this.args.buffer(this.options.buffers.status(), true);
  }
}

/** The largest parts of a vocabulary expression that do not depend on the entry. */
function tokenPartsOf(root: Expression): Expression[] {
  const found = new Set<Expression>();
  for (const x of topological([root])) {
    for (const y of x.space === "vocab" && x.op !== "fold" ? x.operands : []) if (y.space !== "vocab") found.add(y);
  }
  return [...found].filter((x) => constantValue(x) === undefined);
}
