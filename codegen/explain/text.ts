/** An explanation as text for people. */
import { printableName } from "../../dsl/printable.js";
import type { Explanation } from "./index.js";
import type { KernelDescription } from "./kernels.js";

const PER: Readonly<Record<string, string>> = {
  vocab: "per token and entry",
  token: "per token",
  sequence: "per sequence",
  "sequence × vocab": "per sequence and entry",
  "group × vocab": "per group and entry",
  entry: "per vocabulary entry",
  group: "per group",
  batch: "once",
};
const WIDE = 96;

export function explanationText(explanation: Explanation): string {
  const { loss, formula, execution } = explanation;
  return [
    ...heading(printableName(loss), "═"),
    ...given(explanation),
    "",
    ...heading("The loss", "─"),
    ...formula.loss.flatMap((text, i) => wrap(text, i === 0 ? "  L = " : "    + ")),
    "",
    ...heading("Its gradient by a logit: entry v of a token's row", "─"),
    ...wrap(formula.gradient, "  ∂L/∂z[v] = "),
    ...definitions(explanation),
    "",
    ...columns(formula.legend.map(({ symbol, meaning }) => [symbol, meaning])),
    ...formula.notes.map((note) => `  ${note}`),
    "",
    ...heading(`What runs: ${counted(execution.sweeps, "sweep")}, ${counted(execution.steps, "step")}`, "─"),
    ...execution.kernels.flatMap(kernelText),
    "",
    bytesText(explanation),
    "",
    ...heading(execution.sweeps === 1 ? "Why one sweep" : `Why ${execution.sweeps} sweeps`, "─"),
    ...execution.why.flatMap((reason) => wrap(reason, "  ")),
    "",
    ...heading("From hidden states and a head", "─"),
    ...wrap(`The matrix products of logits and of both gradients: ${explanation.head.why}.`, "  "),
    "",
  ].join("\n");
}

function given({ inputs, config, metrics }: Explanation): string[] {
  const rows = [
    ...Object.entries(inputs).map(([name, { space, dtype, default: otherwise }]) => [
      printableName(name),
      `input, ${PER[space]}${dtype === "f32" ? "" : `, ${dtype}`}${otherwise === undefined ? "" : `, ${otherwise} where none is given`}`,
    ]),
    ...Object.entries(config).map(([name, value]) => [
      printableName(name),
      `config, ${typeof value === "number" ? value : `compiled in: ${JSON.stringify(value)}`}`,
    ]),
  ];
  return [...columns(rows), ...(metrics.length > 0 ? [`  metrics: ${metrics.map(printableName).join(", ")}`] : [])];
}

function definitions({ formula }: Explanation): string[] {
  if (formula.definitions.length === 0) return [];
  const width = Math.max(...formula.definitions.map(({ name }) => [...name].length));
  const lines = formula.definitions.flatMap(({ name, text, space }) =>
    wrap(`${text}   (${PER[space]})`, `    ${name.padEnd(width)} = `),
  );
  return ["  where", ...lines];
}

function kernelText({ id, kind, sweep, space, phases, gradient, folds, bytes }: KernelDescription): string[] {
  const what = kind === "sweep" ? `sweep ${sweep}, over the row of each token` : `step, ${PER[space]}`;
  const perEntry = bytes.perEntry > 0 ? `${bytes.perEntry} B per vocabulary entry, ` : "";
  const cost = bytes.perToken + bytes.perEntry > 0 ? `: ${perEntry}${bytes.perToken} B per token` : "";
  const lines = phases.flatMap((list, i) =>
    list.flatMap(({ name, text, needs }, j) => {
      const needed = needs.length > 0 ? `   (needs ${needs.join(", ")})` : "";
      return wrap(`${text}${needed}`, `     ${j === 0 ? `phase ${i + 1}` : "       "}  ${name} = `);
    }),
  );
  if (gradient) lines.push(`     gradient  in one pass${phases.length > 0 ? "" : "; the folds of earlier sweeps were kept"}`);
  return [`  ${id} ${what}${cost}`, ...lines, ...folds.flatMap((text) => wrap(text, "     folds    "))];
}

function bytesText({ bytes: { perEntry, perToken, vocab, dtype, token } }: Explanation): string {
  return `  All together ${perEntry} B per vocabulary entry and ${perToken} B per token: with ${vocab} entries of ${dtype}, ${sizeText(token)} a token.`;
}

function sizeText(bytes: number): string {
  const [size, unit] = bytes >= 1e6 ? [bytes / 1e6, "MB"] : bytes >= 1e3 ? [bytes / 1e3, "kB"] : [bytes, "B"];
  return `${Number(size.toPrecision(3))} ${unit}`;
}

const counted = (n: number, word: string): string => `${n} ${word}${n === 1 ? "" : "s"}`;
const heading = (text: string, line: string): string[] => [text, line.repeat([...text].length)];

/** Lines of a readable length, broken at spaces. All lines but the first are indented. */
function wrap(text: string, start: string): string[] {
  const lines: string[] = [];
  let line = start;
  for (const word of text.split(" ")) {
    if (line.length + word.length > WIDE && line.trim() !== "" && line !== start) {
      lines.push(line.trimEnd());
      line = `${" ".repeat([...start].length + 2)}`;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()];
}

/** Two aligned columns. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(0, ...rows.map(([first]) => [...(first ?? "")].length));
  return rows.map(([first = "", second = ""]) => `  ${first}${" ".repeat(width - [...first].length)}  ${second}`);
}
