/**
 * Trains a small language model on Moby Dick with lossc: first with `cross_entropy`, then with `ppo` from its own samples, then with a loss of its
 * own.
 *
 *     npm run train -- [--device NAME] [--out DIR] [--fresh] [--quick] [--help]
 *
 * Ctrl-C saves, and the next run goes on.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Device, LosscError, openDevice, TrainingClient } from "lossc";
import { custom } from "./custom.js";
import { Display } from "./display.js";
import { NgramModel } from "./model.js";
import { Random } from "./random.js";
import { loadRecord, newRecord, PARTS, saveRecord } from "./record.js";
import { reinforcement } from "./reinforcement.js";
import { renderReport } from "./report.js";
import { type Run, takeFigures } from "./run.js";
import { FULL, QUICK, type Settings } from "./settings.js";
import { supervised } from "./supervised.js";
import { readBook } from "./text.js";
import { summaryOf } from "./verdict.js";

const HELP = `Trains a small language model on Moby Dick; Ctrl-C saves, and the next run goes on.

  --device NAME  cuda, cuda:N, cpu or emulated; cuda where there is one, else cpu
  --out DIR      where the state and report.html go (out)
  --fresh        begin anew, even where DIR holds a run
  --quick        do everything once, in a few seconds
  --help         this text
`;

/** Exit status of a run that Ctrl-C has cut off, as shells have it. */
const INTERRUPTED = 130;

interface Arguments {
  readonly device: string | undefined;
  readonly out: string;
  readonly fresh: boolean;
  readonly settings: Settings;
}

async function main(): Promise<number> {
  const given = readArguments();
  if (!given) {
    process.stdout.write(HELP);
    return 0;
  }
  const { device: name, out, fresh, settings } = given;
  // Before the training: a folder that cannot be written is not found out after it.
  await mkdir(out, { recursive: true });
  const stop = { asked: false };
  onInterrupt(() => {
    stop.asked = true;
  });
  await using device = await openDevice(name);
  const run = await begin(device, out, fresh, settings);
  say(
    `device ${device.name} (${device.description}), vocabulary ${run.book.vocabulary.size}, training text ${run.book.training.length} characters`,
  );
  if (!(await runParts(run, stop, out))) {
    say(`stopped; the state is saved in ${out}, and the next run goes on from it`);
    return INTERRUPTED;
  }
  const path = join(out, "report.html");
  await writeFile(
    path,
    await renderReport(run.record, { device: `${device.name} (${device.description})`, lexicon: run.book.lexicon }),
  );
  const { lines, learned } = summaryOf(run.record);
  for (const line of [...lines, `report: ${path}`]) process.stdout.write(`${line}\n`);
  return learned ? 0 : 1;
}

/** Null where only help was asked for. */
function readArguments(): Arguments | null {
  const { values } = parseArgs({
    options: {
      device: { type: "string" },
      out: { type: "string", default: "out" },
      fresh: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  return { device: values.device, out: values.out, fresh: values.fresh, settings: values.quick ? QUICK : FULL };
}

/** Takes up the run that was cut off, or begins a new one. */
async function begin(device: Device, out: string, fresh: boolean, settings: Settings): Promise<Run> {
  const book = readBook();
  const random = new Random(settings.seed);
  const model = await NgramModel.create(device, { vocab: book.vocabulary.size, ...settings.model }, random);
  const client = new TrainingClient({ policy: model, device });
  const found = fresh ? null : await loadRecord(out, settings);
  if (!found?.record.part) {
    if (found) say(`the run in ${out} is complete: beginning a new one`);
    const run: Run = { book, model, client, random, record: newRecord(settings, book.vocabulary.size) };
    await takeFigures(run, "start");
    return run;
  }
  await client.loadState(found.state);
  say(`going on from ${out}: ${found.record.part}, step ${found.record.step}`);
  return { book, model, client, random: new Random(found.record.random), record: found.record };
}

/** Whether all parts were run to their end. */
async function runParts(run: Run, stop: { readonly asked: boolean }, out: string): Promise<boolean> {
  const { record } = run;
  const parts = [supervised, reinforcement, custom].map((part) => part(record.settings));
  while (record.part) {
    const part = parts[PARTS.indexOf(record.part)] as (typeof parts)[number];
    const display = new Display(part, record.step);
    while (record.step < part.steps && !stop.asked) {
      const started = performance.now();
      const report = await part.step(run, record.step);
      record.step++;
      record.tokens[part.name] += report.tokens;
      record.seconds[part.name] += (performance.now() - started) / 1000;
      display.update(report);
    }
    display.stop();
    if (record.step === part.steps) {
      await takeFigures(run, part.name);
      record.part = PARTS[PARTS.indexOf(part.name) + 1] ?? null;
      record.step = 0;
    }
    record.random = run.random.state;
    await saveRecord(out, record, run.client);
    if (stop.asked && record.part) return false;
  }
  return true;
}

/** The first Ctrl-C asks the run to stop after the step that it is in; the second ends the process. */
function onInterrupt(ask: () => void): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      ask();
      process.once(signal, () => process.exit(INTERRUPTED));
    });
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  // Of the command line, of lossc, or of the system: a folder that may not be written, a disk that is full.
  const { code, errno } = error as NodeJS.ErrnoException;
  if (!(error instanceof LosscError) && code?.startsWith("ERR_PARSE_ARGS") !== true && errno === undefined) throw error;
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 2;
}
