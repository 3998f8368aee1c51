/** The page that a person looks at when a run is over: one HTML file that needs nothing else. */
import { COLOURS, customChart, lossChart, ratioChart, rewardChart } from "./charts.js";
import type { Part, Passage, Record, Stage } from "./record.js";
import { isKnown } from "./reward.js";

export interface ReportContext {
  readonly device: string;
  readonly lexicon: ReadonlySet<string>;
}

const STAGES: { readonly [stage in Stage]: string } = {
  start: "before training",
  supervised: "after cross_entropy",
  reinforcement: "after ppo",
  custom: "after the custom loss",
};

export async function renderReport(record: Record, { device, lexicon }: ReportContext): Promise<string> {
  const { heldOut, reward, bigram, curves, settings } = record;
  const [loss, rewards, ratio, z] = await Promise.all([
    lossChart(record),
    rewardChart(record),
    ratioChart(record),
    customChart(record),
  ]);
  const [firstZ, lastZ] = [curves.custom.at(0)?.z, curves.custom.at(-1)?.z];
  const clip = settings.reinforcement;
  return page(`
<header>
  <p class="kicker">lossc · training report</p>
  <h1>A model reads <em>Moby Dick</em></h1>
  <p class="lead">${parameters(record)} weights over the last ${settings.model.context} characters, trained on ${escaped(device)} in ${duration(record)}.</p>
</header>
<section class="tiles">
  ${tile("held-out loss, nats per character", figure(heldOut.start), figure(heldOut.supervised), `bigram table: ${figure(bigram)}`)}
  ${tile("reward, share of characters in words", figure(reward.supervised), figure(reward.reinforcement), "mean over samples from held-out prompts")}
  ${tile("mean of the squared logsumexp", figure(firstZ, 1), figure(lastZ, 1), `held-out loss at the end: ${figure(heldOut.custom)}`)}
</section>
${part("1", "cross_entropy", "The model learns to predict the next character of the book. One chapter of ten is held out: training never sees it.", [loss], record, "supervised")}
${part("2", "ppo", `The model goes on from prompts and is rewarded for the share of characters that lie in words of the book, each word once. ${clip.group} samples of a prompt are judged beside each other; ${clip.minibatches * clip.epochs} steps of Adam are taken on each batch of samples, and the ratio between the policy and the one that drew them leaves 1. The band holds four fifths of the samples.`, [rewards, ratio], record, "reinforcement")}
${part("3", "a loss of one’s own", `Cross-entropy with a term that pulls the logsumexp of the logits to 0, defined in <code>examples/z-loss.ts</code> and compiled as the others are.`, [z], record, "custom")}
<section>
  <h2>What it writes</h2>
  <p>The same held-out prompts at every stage. <span class="known">Words of the book</span> earn reward, <span class="unknown">others</span> do not.</p>
  ${passages(record.passages, lexicon)}
</section>
<section>
  <h2>All figures</h2>
  <table>
    <thead><tr><th></th><th>held-out loss</th><th>reward</th><th>tokens trained on</th><th>seconds</th></tr></thead>
    <tbody>${(Object.keys(STAGES) as Stage[]).map((stage) => row(record, stage)).join("")}</tbody>
  </table>
</section>`);
}

function tile(label: string, before: string, after: string, note: string): string {
  return `<div class="tile"><p class="label">${label}</p><p class="figures">${before} <span class="arrow">→</span> <strong>${after}</strong></p><p class="note">${note}</p></div>`;
}

function part(number: string, title: string, text: string, charts: readonly string[], record: Record, name: Part): string {
  const speed = Math.round(record.tokens[name] / Math.max(1e-9, record.seconds[name]));
  const figures = charts.map((chart) => `<figure>${chart}</figure>`).join("");
  return `<section><h2><span class="number">${number}</span>${title}</h2><p>${text} <span class="note">${speed.toLocaleString("en")} tokens per second.</span></p>${figures}</section>`;
}

function passages(all: readonly Passage[], lexicon: ReadonlySet<string>): string {
  const prompts = [...new Set(all.map(({ prompt }) => prompt))];
  return prompts
    .map((prompt) => {
      const rows = all.filter((passage) => passage.prompt === prompt);
      return `<div class="passage">${rows.map(({ stage, text }) => `<p class="stage">${STAGES[stage]}</p><p class="text"><span class="prompt">${escaped(prompt)}</span>${marked(text, lexicon)}</p>`).join("")}</div>`;
    })
    .join("");
}

function marked(text: string, lexicon: ReadonlySet<string>): string {
  return text
    .split(/([a-z]+)/i)
    .map((piece, i) =>
      i % 2 === 0 ? escaped(piece) : `<span class="${isKnown(piece, lexicon) ? "known" : "unknown"}">${piece}</span>`,
    )
    .join("");
}

function row({ heldOut, reward, tokens, seconds }: Record, stage: Stage): string {
  const [count, time] = stage === "start" ? ["", ""] : [tokens[stage].toLocaleString("en"), seconds[stage].toFixed(1)];
  return `<tr><th>${STAGES[stage]}</th><td>${figure(heldOut[stage])}</td><td>${figure(reward[stage])}</td><td>${count}</td><td>${time}</td></tr>`;
}

function parameters({ settings: { model }, vocabulary }: Record): string {
  const inner = model.context * model.width;
  const count = (vocabulary + 1) * model.width + (inner + 1) * model.hidden + (model.hidden + 1) * vocabulary;
  return count.toLocaleString("en");
}

function duration({ seconds }: Record): string {
  return `${Math.round(Object.values(seconds).reduce((a, b) => a + b, 0))} seconds`;
}

function figure(value: number | undefined, digits = 3): string {
  return value === undefined ? "–" : value.toFixed(digits);
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function page(body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lossc · training report</title>
<style>
  body { margin: 0; background: #f6f4ef; color: ${COLOURS.ink}; font: 16px/1.55 ui-sans-serif, system-ui, sans-serif; }
  main { max-width: 760px; margin: 0 auto; padding: 56px 24px 96px; }
  h1 { font: 400 44px/1.1 Georgia, "Times New Roman", serif; margin: 0 0 12px; }
  h2 { font: 400 26px/1.2 Georgia, "Times New Roman", serif; margin: 0 0 8px; }
  p { margin: 0 0 12px; }
  section { margin-top: 40px; }
  .kicker { letter-spacing: .08em; text-transform: uppercase; font-size: 12px; color: ${COLOURS.faint}; }
  .lead { font-size: 18px; }
  .number { display: inline-block; width: 1.4em; color: ${COLOURS.faint}; }
  .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(215px, 1fr)); gap: 16px; }
  .tile { background: #fff; border-radius: 10px; padding: 16px 18px; box-shadow: 0 1px 3px rgb(34 48 60 / 10%); }
  .label, .note, .stage { font-size: 13px; color: #667380; }
  .tile p { margin: 0; }
  .figures { font-size: 23px; white-space: nowrap; font-variant-numeric: tabular-nums; padding: 6px 0; }
  .arrow { color: ${COLOURS.faint}; }
  .figures strong { color: ${COLOURS.sea}; }
  figure { margin: 16px 0 0; padding: 18px; background: #fff; border-radius: 10px; box-shadow: 0 1px 3px rgb(34 48 60 / 10%); }
  figure svg { display: block; width: 100%; height: auto; }
  .passage { background: #fff; border-radius: 10px; padding: 16px 18px 8px; margin-top: 16px; box-shadow: 0 1px 3px rgb(34 48 60 / 10%); }
  .stage { margin: 0; }
  .text { font: 15px/1.5 Georgia, "Times New Roman", serif; overflow-wrap: anywhere; }
  .prompt { color: ${COLOURS.faint}; }
  .known { color: ${COLOURS.moss}; }
  .unknown { color: ${COLOURS.brick}; text-decoration: underline dotted; text-underline-offset: 3px; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
  th, td { text-align: right; padding: 7px 8px; border-bottom: 1px solid #dcdfe2; font-weight: 400; }
  th:first-child { text-align: left; }
  thead th { font-size: 13px; color: #667380; }
  code { font-size: .92em; }
</style>
</head>
<body><main>${body}
</main></body>
</html>
`;
}
