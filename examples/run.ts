/** The state that the parts of a run share. */
import type { Datum, TrainingClient } from "lossc";
import { BigramTable } from "./bigram.js";
import type { NgramModel } from "./model.js";
import { Random } from "./random.js";
import type { Part, Record, Stage } from "./record.js";
import { reward } from "./reward.js";
import { drawSamples, type Sample } from "./sample.js";
import { HELD_OUT_WINDOW, PROMPT } from "./settings.js";
import type { Book } from "./text.js";

export interface Run {
  readonly book: Book;
  readonly model: NgramModel;
  readonly client: TrainingClient;
  readonly record: Record;
  readonly random: Random;
}

/** Result of one step of a part, for the progress bar. */
export interface StepReport {
  readonly tokens: number;
  readonly loss?: number;
  readonly reward?: number;
}

/** One part of the run. A run can be cut off between steps, and goes on with the next. */
export interface PartOfRun {
  readonly name: Part;
  readonly title: string;
  readonly steps: number;
  step(run: Run, index: number): Promise<StepReport>;
}

/** A piece of text as a datum: every character is predicted from those before it. */
export function windowOf(text: Int32Array, begin: number, length: number): Datum {
  return {
    modelInput: text.slice(begin, begin + length),
    lossFnInputs: { target_tokens: text.slice(begin + 1, begin + length + 1) },
  };
}

/** Pieces from anywhere in the training text. Their weights add up to 1: a loss is a sum, and with these it is the mean over all characters. */
export function drawWindows({ book, random }: Run, count: number, length: number): Datum[] {
  const weights = new Float32Array(length).fill(1 / (count * length));
  return Array.from({ length: count }, () => {
    const { modelInput, lossFnInputs } = windowOf(book.training, random.below(book.training.length - length), length);
    return { modelInput, lossFnInputs: { ...lossFnInputs, weights } };
  });
}

/** Pieces of the held-out text, side by side from its beginning. */
export function heldOutWindows({ heldOut }: Book, most: number): Datum[] {
  const count = Math.min(most, Math.floor((heldOut.length - 1) / HELD_OUT_WINDOW));
  return Array.from({ length: count }, (_, i) => windowOf(heldOut, i * HELD_OUT_WINDOW, HELD_OUT_WINDOW));
}

/** Nats per character. */
export async function heldOutLoss({ client }: Run, windows: readonly Datum[]): Promise<number> {
  const batch = 16;
  let total = 0;
  for (let first = 0; first < windows.length; first += batch) {
    total += (await client.forward(windows.slice(first, first + batch), "cross_entropy")).loss;
  }
  return total / (windows.length * HELD_OUT_WINDOW);
}

/** The same figure for a table that only sees one character back. */
export function bigramLoss({ training, vocabulary }: Book, windows: readonly Datum[]): number {
  const table = new BigramTable(training, vocabulary.size);
  const losses = windows.map(({ modelInput, lossFnInputs }) =>
    table.loss(modelInput as Int32Array, lossFnInputs.target_tokens as Int32Array),
  );
  return losses.reduce((a, b) => a + b, 0) / losses.length;
}

/** Beginnings for the model to go on from: each ends where a word does. */
export function drawPrompts(text: Int32Array, space: number, count: number, random: Random): Int32Array[] {
  return Array.from({ length: count }, () => {
    const end = text.indexOf(space, PROMPT + random.below(text.length - 2 * PROMPT)) + 1;
    // Near the end of the text there may be no space any more.
    return end > 0 ? text.slice(end - PROMPT, end) : text.slice(0, PROMPT);
  });
}

/** Figures of a stage: loss on the whole held-out text, mean reward of samples from held-out prompts, and passages to look at. */
export async function takeFigures(run: Run, stage: Stage): Promise<void> {
  const { book, record } = run;
  const { evaluation, reinforcement, seed } = record.settings;
  const windows = heldOutWindows(book, Math.ceil((evaluation.share * book.heldOut.length) / HELD_OUT_WINDOW));
  record.heldOut[stage] = await heldOutLoss(run, windows);
  record.bigram ||= bigramLoss(book, windows);
  // Always the same prompts and the same chances, so that stages differ by the model alone.
  const random = new Random(seed);
  const prompts = drawPrompts(book.heldOut, book.vocabulary.encode(" ")[0] as number, evaluation.prompts, random);
  const samples = await drawSamples(run.model, prompts, reinforcement.length, random);
  record.reward[stage] = mean(samples.map((sample) => rewardOf(book, sample)));
  const passages = await drawSamples(run.model, prompts.slice(0, 3), 160, random);
  for (const { prompt, tokens } of passages) {
    record.passages.push({ stage, prompt: book.vocabulary.decode(prompt), text: book.vocabulary.decode(tokens) });
  }
}

export function rewardOf({ vocabulary, lexicon }: Book, sample: Sample): number {
  return reward(vocabulary.decode(sample.tokens), lexicon);
}

export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
}
