/**
 * The parts that all kernels have: values of an element of the kernel's space, where they are loaded from and where they are stored. Rows are for
 * `sweep.ts`.
 */
import type { Expression } from "../../../dsl/expression.js";
import { type CoarseFold, FOLDS, isCoarseFold, isLeaf } from "../../../dsl/ops/index.js";
import type { RowKernel } from "../../passes/rows/record.js";
import type { Program } from "../../program.js";
import type { Buffers } from "../../schedule/buffers.js";
import { type ElementSpace, STATUS } from "../../schedule/plan.js";
import type { PlannedKernel, Schedule } from "../../schedule/schedule.js";
import { trafficOf } from "../../schedule/traffic.js";
import { commentText, floatText } from "../text.js";
import { Arguments } from "./arguments.js";
import { Printer } from "./printer.js";
import { elementText } from "./sections.js";

/** Folds of a plan up to which each has code of its own. More share it: a compiler takes as long as the code is. */
const FEW_FOLDS = 16;

export interface BodyOptions {
  readonly id: string;
  readonly program: Program;
  readonly schedule: Schedule;
  readonly planned: PlannedKernel;
  readonly buffers: Buffers;
  /** Row values of this sweep that later kernels load. */
  readonly spilled: readonly Expression[];
  /** The work of a sweep on rows; null of a step. */
  readonly rows: RowKernel | null;
}

/** The body of one kernel while it is written. Its arguments follow from what is asked for. */
export abstract class Body {
  readonly args: Arguments;
  protected readonly lines: string[] = [];
  protected readonly printer: Printer;
  /** Row values that this kernel has computed. */
  protected readonly done = new Map<Expression, string>();
  /** Names of the elements that this kernel's element belongs to. */
  private readonly indices = new Map<ElementSpace, string>();
  private readonly loaded = new Map<Expression, string>();
  private names = 0;
  private hasReads = false;

  /** `element`: the name of the kernel's element. */
  constructor(
    protected readonly options: BodyOptions,
    protected readonly element: string,
  ) {
    const { space } = options.planned;
    this.args = new Arguments(space);
    this.indices.set(space, element);
    this.printer = new Printer(this.lines, "    ", (x) => this.leaf(x), this.fresh);
  }

  /** The function that does it. */
  abstract main(): string[];

  /** The kernel in one line. */
  protected abstract what(): string;

  protected does(): string[] {
    const { folds, space } = this.options.planned;
    return folds.length > 0 ? [`folds ${folds.length} ${folds.length === 1 ? "value" : "values"} per ${space}`] : [];
  }

  /** The bytes that move for each token; null where none do. */
  protected abstract traffic(bytes: ReturnType<typeof trafficOf>): string | null;

  comment(): string[] {
    const does = this.does();
    const bytes = this.traffic(trafficOf(this.args.list, this.options.buffers.list));
    return [
      `// ${this.options.id}: ${this.what()}`,
      ...(does.length > 0 ? [`// It ${does.join(", ")}.`] : []),
      ...(bytes === null ? [] : [`// Traffic per token: ${bytes}.`]),
    ];
  }

  /** The function that folds what elements have stored. */
  tails(): string[] {
    const { planned, schedule } = this.options;
    const { folds } = planned;
    const head = "  template <class Team> LOSSC_FN static void tails(const Args&";
    if (folds.length === 0) return [`${head}, const Team&, index, index) {}`];
    const tails = folds.map((f) => this.tail(f));
    const lines =
      schedule.folds <= FEW_FOLDS
        ? tails.map(({ call, places }) => `    fold_tail${call}, ${places});`)
        : [...new Set(tails.map(({ call }) => call))].flatMap((call) => [
            `    fold_tails${call}, {`,
            ...tails.filter((tail) => tail.call === call).map(({ places }) => `      {${places}},`),
            "    });",
          ]);
    return [`${head} a, const Team& team, index first, index count) {`, ...lines, "  }"];
  }

  /** The call that folds f, which is the same for folds of one kind to one space, and where its numbers lie. */
  private tail(f: CoarseFold): { readonly call: string; readonly places: string } {
    const { planned, buffers } = this.options;
    const between = [planned.space, f.space] as const;
    const { values, partials, counters, result } = buffers.fold(f, planned.space);
    const runs =
      between[1] === "batch"
        ? `Whole{${this.args.size(planned.space)}}`
        : `Runs{${this.args.size(between[1])}, ${(["segmentIds", "offsets", "chunkOffsets"] as const).map((kind) => this.args.buffer(buffers.structure(kind, between))).join(", ")}}`;
    const places = [
      this.args.buffer(values),
      this.args.buffer(partials, true),
      this.args.buffer(counters, true),
      this.args.buffer(result, true),
    ];
    return { call: `<${FOLDS[f.attribute.kind].text}>(team, ${runs}, first, count`, places: places.join(", ") };
  }

  protected readonly fresh = (prefix: string): string => `${prefix}${this.names++}`;

  /** Stores what leaves the kernel, by a primitive that begins with `call`. */
  protected stores(call: string): void {
    const { planned, buffers, spilled } = this.options;
    const stored = [...planned.stores].map((x) => ({ x, buffer: buffers.store(x, planned.space) }));
    const rowValues = spilled.filter((x) => !planned.stores.has(x)).map((x) => ({ x, buffer: buffers.store(x, "token") }));
    for (const { x, buffer } of [...stored, ...rowValues]) {
      const [pointer, text] = [this.args.buffer(buffer, true), this.printer.print(x)];
      const value = this.isZeroIfUnread(x) ? `select(${this.reads()}, ${text}, 0.0f)` : text;
      this.lines.push(`    ${call}${pointer}, ${this.element}, ${value});`);
    }
    // The gradient of a row is checked where it is stored, row by row.
    const checked = this.options.program.results.filter(
      ({ checked, space, x }) => checked && space === planned.space && planned.stores.has(x),
    );
    for (const x of [...planned.checks, ...checked.map(({ x }) => x)]) {
      const word = STATUS[planned.space as "token" | "sequence" | "group"];
      this.lines.push(`    flag_non_finite(${this.status()}, ${word}, ${this.element}, ${this.printer.print(x)});`);
    }
  }

  /** Whether every result that x is stored for is 0 at a token whose row is not read. */
  private isZeroIfUnread(x: Expression): boolean {
    const { program, planned } = this.options;
    const results = program.results.filter((result) => result.x === x && result.space === planned.space);
    return results.length > 0 && results.every(({ zeroIfUnread }) => zeroIfUnread);
  }

  /** The name of whether the token's row is read; the line that defines it is written when it is first asked for. */
  protected reads(): string {
    const { rows } = this.options.program;
    if (!this.hasReads && rows) {
      const mask = this.leafText(rows.mask);
      this.lines.push(`    const auto reads = either(${this.args.skipMasked(rows.mask)} == 0, ${mask} != 0.0f);`);
      this.hasReads = true;
    }
    return "reads";
  }

  /** Text of what is not computed here: leaves, folds, and what an earlier kernel stored. */
  private leaf(x: Expression): string | null {
    const done = this.done.get(x);
    if (done !== undefined) return done;
    const stored = this.options.buffers.isStoredBefore(x, this.options.planned);
    if (stored) return this.named(x, `load(${this.args.buffer(stored)}, ${this.index(x.space as ElementSpace)})`);
    return this.leafText(x);
  }

  protected leafText(x: Expression): string | null {
    const { buffers } = this.options;
    if (isCoarseFold(x)) return this.named(x, `load(${this.args.buffer(buffers.foldResult(x))}, ${this.index(x.space)})`);
    if (!isLeaf(x)) return null;
    switch (x.op) {
      // The printer writes constants; `isAt` is gone when the gradient is split.
      case "constant":
      case "isAt":
        return null;
      case "config":
        return this.named(x, `float(${this.args.config(x.attribute.name)})`);
      case "index":
        return this.options.planned.space === "entry" ? this.named(x, `number(${this.element})`) : null;
      case "placeInGroup": {
        const first = this.args.buffer(buffers.structure("offsets", ["sequence", "group"]));
        return this.named(x, `number(${this.index("sequence")} - read(${first}, ${this.index("group")}))`);
      }
      case "input": {
        const buffer = buffers.input(x.attribute.name);
        const [pointer, index] = [this.args.buffer(buffer), this.index(x.space as ElementSpace)];
        if (buffer.dtype === "i32") return this.named(x, `number(read(${pointer}, ${index}))`);
        return this.named(
          x,
          buffer.default === undefined
            ? `load(${pointer}, ${index})`
            : `load_or(${pointer}, ${index}, ${floatText(buffer.default)})`,
        );
      }
    }
  }

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
    const text = `read(${this.args.buffer(this.options.buffers.structure("segmentIds", [finer, space]))}, ${this.index(finer)})`;
    const name = this.fresh("i");
    this.lines.push(`    const auto ${name} = ${text};`);
    this.indices.set(space, name);
    return name;
  }

  protected status(): string {
    return this.args.buffer(this.options.buffers.status(), true);
  }
}

/** The body of a step: one element at a time. */
export class StepBody extends Body {
  constructor(options: BodyOptions) {
    super(options, "i");
  }

  main(): string[] {
    this.printer.expect([...this.options.planned.stores, ...this.options.planned.checks]);
    this.stores("store(");
    return elementText(this.lines, this.element);
  }

  protected what(): string {
    const { program, planned } = this.options;
    return `a step of "${commentText(program.name)}", one ${planned.space} at a time.`;
  }

  protected traffic({ perToken }: ReturnType<typeof trafficOf>): string | null {
    return perToken > 0 ? `${perToken} bytes` : null;
  }
}
