/** Writes docs/losses.md: what the TSDoc of each loss says, and what follows from its definition. */
import { readFileSync } from "node:fs";
import { compilePlan } from "../../codegen/compile.js";
import { toAuthor } from "../../dsl/expression.js";
import { isLossDefinition, LosscError, type LossDefinition } from "../../dsl/index.js";
import * as ops from "../../dsl/ops/index.js";
import { logits, targetLogprob } from "../../dsl/policy.js";
import * as losses from "../../losses/index.js";

const HEAD = `# The losses that ship with lossc

This page is made from \`losses/*.loss.ts\` by \`npm run docs\`; a test fails where it is stale.

ℓ is the policy's logprob of the target, q the sampler's, A the advantage, r = exp(ℓ − q), sg the gradient's stop, σ the sigmoid,
lse the log-normaliser of the row and H its entropy; clip(r) is r between \`clip_low_threshold\` and \`clip_high_threshold\`. Token
losses are multiplied by \`weights\`, which may come with every loss, and summed; sequence and pair losses are summed. Nothing is
averaged.

*Sweeps* are visits to the rows of logits. From \`policy_logprobs\` in place of logits no loss needs any; one that reads the rows
cannot be had from them. Metrics are computed where they are asked for by name, and cost nothing otherwise; \`loss:sum\` is always
there. [The language](language.md) explains how to write a loss of your own.
`;

/** The text of a TSDoc comment before \`export const NAME\`, by paragraphs. */
function paragraphsOf(name: string): string[] {
  const source = readFileSync(new URL(`../../losses/${name}.loss.ts`, import.meta.url), "utf8");
  const comment = source.slice(0, source.indexOf(`export const ${name} `)).match(/\/\*\*((?:(?!\/\*\*)[\s\S])*)\*\/\s*$/)?.[1];
  if (comment === undefined) throw new Error(`losses/${name}.loss.ts says nothing of its loss`);
  const text = comment.replace(/^[ \t]*\* ?/gm, "").trim();
  return text.split(/\n\s*\n/).map((paragraph) => paragraph.replace(/\s+/g, " "));
}

/** The names of the metrics, as the loss returns them. */
function metricsOf(loss: LossDefinition): string[] {
  const policy = {
    logprobs: toAuthor(targetLogprob(logits)),
    logsumexp: toAuthor(ops.rowLogsumexp(logits)),
    logits: toAuthor(logits),
    entropy: toAuthor(ops.rowLogsumexp(logits)),
  };
  const inputs = Object.entries(loss.inputs).map(([name, { space }]) => [name, toAuthor(ops.input(name, space))]);
  const config = Object.entries(loss.config).map(([name, { kind, value }]) => [
    name,
    kind === "scalar" ? toAuthor(ops.config(name)) : value,
  ]);
  const returned = loss.loss(policy, Object.fromEntries(inputs), Object.fromEntries(config));
  return typeof returned === "object" && "metrics" in returned ? Object.keys(returned.metrics ?? {}) : [];
}

function sweepsOf(loss: LossDefinition): string {
  const { sweeps } = compilePlan({ loss, logits: "f32" }).plan;
  try {
    compilePlan({ loss, logits: null });
    return String(sweeps);
  } catch (error) {
    if (error instanceof LosscError && error.code === "INPUT_MISSING")
      return `${sweeps}; it reads the rows, so that \`policy_logprobs\` do not do`;
    throw error;
  }
}

const quoted = (name: string) => `\`${name}\``;
const joined = (list: readonly string[]) => (list.length > 0 ? list.join(", ") : "none");

function section(name: string, loss: LossDefinition): string {
  const paragraphs = paragraphsOf(name);
  const isSource = (text: string) => /, \d{4}\b/.test(text) && !/^(Inputs|Config)/.test(text);
  const source = paragraphs.slice(1).filter(isSource);
  const inputs = Object.entries(loss.inputs).map(([key, { space }]) => `${quoted(key)} (${space})`);
  const config = Object.entries(loss.config).map(([key, { value }]) => `${quoted(key)} ${value}`);
  return [
    `## ${name}`,
    ...paragraphs.filter((text) => !source.includes(text)),
    [
      "| | |",
      "|---|---|",
      `| inputs | ${joined(inputs)} |`,
      `| config | ${joined(config)} |`,
      `| sweeps | ${sweepsOf(loss)} |`,
      `| metrics | ${joined(metricsOf(loss).map(quoted))} |`,
      ...source.map((text) => `| from | ${text} |`),
    ].join("\n"),
  ].join("\n\n");
}

/** A line is broken at its last space before column 130. */
function wrapped(text: string): string {
  return text.replace(/^(?![|#]).{131,}$/gm, (line) => line.replace(/(.{1,130})(?: +|$)/g, "$1\n").trimEnd());
}

export function lossesPage(): string {
  const all = Object.entries(losses as Record<string, unknown>).filter((entry): entry is [string, LossDefinition] =>
    isLossDefinition(entry[1]),
  );
  const names = all.map(([name]) => name).sort();
  const sections = names.map((name) => section(name, losses.builtins[name] as LossDefinition));
  return wrapped(`${HEAD}\n${names.map((name) => `[${name}](#${name})`).join(" · ")}\n\n${sections.join("\n\n")}\n`);
}
