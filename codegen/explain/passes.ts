/** The program after each pass, and the work on rows after each of its own, as text: `lossc emit --passes`. */

import type { LossDefinition } from "../../dsl/define-loss.js";
import { constantValue, type Expression } from "../../dsl/expression.js";
import { topological } from "../../dsl/graph.js";
import { compilePlan } from "../compile.js";
import type { LogitsDtype } from "../loss-program.js";
import type { GuardedProduct, RowKernel, Summand, Total } from "../passes/rows/record.js";
import type { Program } from "../program.js";

/** Longer expressions get a line of their own. */
const LONG = 60;

/** Names for the values of one program. Values that are shared, or long, stand in a line of their own before they are used. */
class Listing {
  readonly lines: string[] = [];
  private readonly texts = new Map<Expression, string>();
  private readonly uses = new Map<Expression, number>();
  private count = 0;

  constructor(roots: readonly Expression[]) {
    for (const x of topological(roots)) for (const y of x.operands) this.uses.set(y, (this.uses.get(y) ?? 0) + 1);
    for (const x of topological(roots)) this.texts.set(x, this.written(x));
  }

  text(x: Expression): string {
    return this.texts.get(x) ?? "?";
  }

  private written(x: Expression): string {
    const text = `${nameOf(x)}${x.operands.length === 0 ? "" : `(${x.operands.map((y) => this.text(y)).join(", ")})`}`;
    if (x.operands.length === 0 || ((this.uses.get(x) ?? 0) < 2 && text.length <= LONG)) return text;
    const name = `%${++this.count}`;
    this.lines.push(`  ${name} : ${x.space} = ${text}`);
    return name;
  }

  summand({ conditions, x, product }: Summand): string {
    const value = product ? this.product(product) : this.text(x);
    return conditions.length > 0 ? `${value} where ${conditions.map((c) => this.text(c)).join(" and ")}` : value;
  }

  total({ x, added }: Total): string {
    return added ? `${this.total(added.rest)} ${added.minus ? "−" : "+"} ${this.product(added.product)}` : this.text(x);
  }

  private product({ factors: [a, b], guards }: GuardedProduct): string {
    const product = `${this.text(a)} · ${this.text(b)}`;
    return guards.length > 0 ? `[${product}, 0 where ${guards.map((x) => this.text(x)).join(" or ")} is]` : `[${product}]`;
  }
}

function nameOf(x: Expression): string {
  switch (x.op) {
    case "constant":
      return x.dtype === "bool" ? String(x.attribute.value !== 0) : String(constantValue(x));
    case "input":
    case "config":
      return x.attribute.name;
    case "at":
    case "isAt":
    case "logprobAt":
      return `${x.op}[${x.attribute.index}]`;
    case "fold":
      return `${x.attribute.kind}[${x.attribute.from} → ${x.space}]`;
    case "reduce":
      return x.attribute.reduction;
    default:
      return x.op;
  }
}

function programLines(program: Program): string[] {
  const { results, checks, rowGradient, splitGradient } = program;
  const values = [
    ...results.map(({ name, space, x }) => [`${name} : ${space}`, x] as const),
    ...checks.map(({ space, x }) => [`finite : ${space}`, x] as const),
    ...(splitGradient
      ? ([
          ["gradient of the other entries", splitGradient.others],
          ["gradient of the named entry", splitGradient.named],
        ] as const)
      : rowGradient
        ? ([["gradient of the row", rowGradient]] as const)
        : []),
  ];
  const listing = new Listing(values.map(([, x]) => x));
  return [...listing.lines, ...values.map(([name, x]) => `  ${name} = ${listing.text(x)}`)];
}

function rowLines({ phases, gradient, cachedExp }: RowKernel): string[] {
  const folds = phases.flatMap(({ folds, merge }) => [...(merge?.maxima ?? []), ...folds]);
  const totals = gradient ? totalsOf(gradient.others) : [];
  const roots = [
    ...(cachedExp ? [cachedExp] : []),
    ...folds.flatMap(({ fold, value }) => [fold, ...value.conditions, value.x, ...(value.product?.factors ?? [])]),
    ...totals.flatMap(({ x, added }) => [x, ...(added?.product.factors ?? [])]),
    ...(gradient ? [gradient.named, ...gradient.zeroWhere] : []),
  ];
  const listing = new Listing(roots);
  const lines = phases.flatMap(({ folds, merge }, i) => [
    `  phase ${i + 1}${merge ? `, merged with the maxima before it by ${merge.rules.join(", ")}` : ""}:`,
    ...[...(merge?.maxima ?? []), ...folds].map(
      ({ fold, value }) => `    ${listing.text(fold)}: ${fold.attribute.kind} of ${listing.summand(value)}`,
    ),
  ]);
  return [
    ...listing.lines,
    ...(cachedExp ? [`  in place of the entry: ${listing.text(cachedExp)}`] : []),
    ...lines,
    ...(gradient
      ? [
          `  gradient of the other entries = ${listing.total(gradient.others)}`,
          `  gradient of the named entry = ${listing.text(gradient.named)}`,
          ...(gradient.zeroWhere.length > 0
            ? [`  all of it 0 where these are: ${gradient.zeroWhere.map((x) => listing.text(x)).join(", ")}`]
            : []),
        ]
      : []),
  ];
}

const totalsOf = (total: Total): Total[] => [
  total,
  ...(total.added ? totalsOf(total.added.rest) : []),
  ...total.inner.flatMap(totalsOf),
];

/** One section for each pass. A pass that leaves everything as it was says so. */
export function passesText(loss: LossDefinition, logits: LogitsDtype): string {
  const sections: string[] = [];
  let before = "";
  const add = (title: string, lines: readonly string[]) => {
    const text = lines.join("\n");
    sections.push(`== ${title}\n${text === before ? "  as before" : text}\n`);
    before = text;
  };
  const program = (pass: string, after: Program) => add(pass, programLines(after));
  const rows = (kernel: string, pass: string, after: RowKernel) => add(`${kernel}: ${pass}`, rowLines(after));
  compilePlan({ loss, logits, observer: { program, rows } });
  return sections.join("\n");
}
