/** The graph of a loss and its gradient for graphviz: a box for each node, and a frame around the values that are known at the same time. */
import type { LossDefinition } from "../../dsl/define-loss.js";
import type { Expression } from "../../dsl/expression.js";
import { oncePerNode, operandsFirst } from "../../dsl/graph.js";
import { logSoftmax, rowLogsumexp, softmax } from "../../dsl/ops/index.js";
import { logits, targetLogprob } from "../../dsl/policy.js";
import { printable } from "../../dsl/printable.js";
import { isPerEntry, type Space } from "../../dsl/spaces.js";
import { type Tidied, takenNames } from "./formula.js";
import { partsOf } from "./names.js";
import { NEGATIVE_ENTROPY, Notation } from "./notation.js";
import { isIndicator, isTieShare } from "./products.js";

const COLOURS: Readonly<Record<Space, readonly [colour: string, title: string]>> = {
  vocab: ["#f8cfa9", "per token and entry"],
  token: ["#d3e5f7", "per token"],
  sequence: ["#cfecd2", "per sequence"],
  group: ["#f3e8ad", "per group"],
  "sequence × vocab": ["#e0d9bd", "per sequence and entry"],
  "group × vocab": ["#f4dca5", "per group and entry"],
  entry: ["#f2d3dc", "per entry"],
  batch: ["#e6d8f0", "once"],
};

/** Values that the policy gives. Each is one box: its parts would explain nothing. */
const GIVEN: ReadonlySet<Expression> = new Set<Expression>([
  targetLogprob(logits),
  softmax(logits),
  logSoftmax(logits),
  rowLogsumexp(logits),
  NEGATIVE_ENTROPY,
]);

/** The graph in graphviz's language. */
export function pictureOf(loss: LossDefinition, tidied: Tidied, sweeps: number, gradient: string): string {
  const drawing = new Drawing(tidied, takenNames(loss));
  const results = tidied.terms.map((x, i) => ({
    x,
    id: `loss${i}`,
    label: tidied.terms.length === 1 ? "L" : `L, term ${i + 1}`,
  }));
  for (const { x } of results) drawing.add(x);
  const parts = tidied.rows.flatMap(({ factor, row }) => [factor, row]);
  for (const x of parts) drawing.add(x);
  const lines = [
    `digraph ${quoted(loss.name)} {`,
    `  graph [rankdir=TB, fontname="Helvetica", fontsize=20, label=${quoted(loss.name)}, labelloc=t, bgcolor=white, nodesep=0.3, ranksep=0.4, pad=0.3];`,
    '  node [shape=box, style="filled,rounded", color="#00000055", fontname="Helvetica", fontsize=12, height=0.3, margin="0.16,0.07"];',
    '  edge [color="#00000077", arrowsize=0.6];',
    ...drawing.frames(sweeps, gradient),
    ...drawing.edges(),
    ...results.flatMap(({ x, id, label }) => [
      `  ${id} [label=${quoted(label)}, shape=oval, style=filled, fillcolor="#333333", fontcolor=white];`,
      `  ${drawing.id(x)} -> ${id};`,
    ]),
    ...parts.filter((x) => drawing.id(x) !== "").map((x) => `  ${drawing.id(x)} -> gradient;`),
    '  result [label="∂L/∂z[v]", shape=oval, style=filled, fillcolor="#333333", fontcolor=white];',
    "  gradient -> result;",
    ...drawing.key(),
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

class Drawing {
  private readonly nodes = new Map<Expression, string>();
  private readonly notation: Notation;

  constructor(
    private readonly tidied: Tidied,
    taken: ReadonlySet<string>,
  ) {
    this.notation = new Notation(tidied.names, taken);
  }

  id(x: Expression): string {
    return this.nodes.get(x) ?? "";
  }

  /** A node with all that it is made of. */
  add(x: Expression): void {
    if (this.nodes.has(x) || isPlain(x)) return;
    this.nodes.set(x, `n${this.nodes.size}`);
    for (const operand of this.operandsOf(x)) this.add(operand);
  }

  /** The operands that get a box of their own. Numbers, config and conditions are written where they are used. */
  private operandsOf(x: Expression): Expression[] {
    if (GIVEN.has(x)) return [];
    const boxes = partsOf(plainly(x)).flatMap(within);
    return [...new Set(boxes)].filter((y) => !isPlain(y));
  }

  /** When a value is known: 0 before all, k within sweep k, k + ½ between that and the next. */
  private readonly rank = operandsFirst((x: Expression): number =>
    rankOf(x, Math.max(0, ...x.operands.map((y) => this.rank(y)))),
  );

  /** The gradient itself stands in the frame of the last sweep. */
  frames(sweeps: number, gradient: string): string[] {
    const ranks = [...new Set([sweeps, ...[...this.nodes.keys()].map((x) => this.rank(x))])].sort((a, b) => a - b);
    return ranks.flatMap((rank) => [
      `  subgraph cluster_${String(rank).replace(".", "_")} {`,
      `    label=${quoted(titleOf(rank, sweeps))}; labeljust=l; style="rounded,dashed"; color="#00000044"; fontsize=11; fontcolor="#555555";`,
      ...[...this.nodes]
        .filter(([x]) => this.rank(x) === rank)
        .map(([x, id]) => `    ${id} [label=${quoted(this.label(x))}, fillcolor="${COLOURS[x.space][0]}"];`),
      ...(rank === sweeps ? [`    gradient [label=${quoted(wrapped(gradient))}, fillcolor="${COLOURS.vocab[0]}"];`] : []),
      "  }",
    ]);
  }

  private label(x: Expression): string {
    if (x === NEGATIVE_ENTROPY) return "H";
    const whole = this.notation.text(x, { whole: true });
    const name = this.tidied.names.get(x);
    return wrapped(name === undefined ? whole : `${name} = ${whole}`);
  }

  edges(): string[] {
    return [...this.nodes].flatMap(([x, id]) => this.operandsOf(x).map((y) => `  ${this.id(y)} -> ${id};`));
  }

  /** The meaning of the colours that occur. */
  key(): string[] {
    const there = new Set([...this.nodes.keys()].map((x) => x.space));
    const cells = Object.entries(COLOURS)
      .filter(([space]) => there.has(space as Space))
      .map(([, [colour, title]]) => `<td bgcolor="${colour}">${title}</td>`);
    const table = `<table border="0" cellborder="0" cellspacing="6" cellpadding="4"><tr>${cells.join("")}</tr></table>`;
    return [`  key [shape=plain, style="", label=<${table}>];`];
  }
}

/** The boxes within a condition; everything else is a box itself. */
const within = oncePerNode((x): readonly Expression[] =>
  isIndicator(x) || x.dtype === "bool" ? [...new Set(partsOf(x).flatMap(within))] : [x],
);

/** −(a − b) is drawn as b − a. */
function plainly(x: Expression): Expression {
  return x.op === "neg" && x.operands[0].op === "sub" ? x.operands[0] : x;
}

/** Numbers, config and halves of ties are written where they are used. */
function isPlain(x: Expression): boolean {
  return x.op === "constant" || x.op === "config" || x.op === "placeInGroup" || isTieShare(x);
}

/** The rule of `ranks.ts` for expressions that are not lowered. */
function rankOf(x: Expression, greatest: number): number {
  const ofRow = x.operands.some((y) => isPerEntry(y.space));
  if (isPerEntry(x.space) || ofRow) return Math.max(1, Math.ceil(greatest));
  const coarse = x.op === "reduce" || x.op === "fold";
  return coarse && greatest >= 1 ? Math.floor(greatest) + 0.5 : greatest;
}

function titleOf(rank: number, sweeps: number): string {
  if (rank === 0) return "known before any row is read";
  if (Number.isInteger(rank)) return `known in sweep ${rank}`;
  return rank > sweeps ? "known after the last sweep" : `known between sweeps ${Math.floor(rank)} and ${Math.ceil(rank)}`;
}

const quoted = (text: string): string =>
  `"${printable(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;

const WIDE = 44;

/** A long formula in lines of about the same length, broken at spaces and after factors. */
function wrapped(text: string): string {
  const width = text.length / Math.ceil(text.length / WIDE);
  let lines = "";
  let column = 0;
  for (const word of text.split(/(?<=[· ])/)) {
    if (column > 0 && column + word.length > width + 8) {
      lines = `${lines.trimEnd()}\n`;
      column = 0;
    }
    lines += word;
    column += word.length;
  }
  return lines;
}
