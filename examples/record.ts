/** The state of a run, saved in a folder so that the next run can continue. */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TrainingClient } from "lossc";
import type { Settings } from "./settings.js";

export const PARTS = ["supervised", "reinforcement", "custom"] as const;
export type Part = (typeof PARTS)[number];
/** When figures are taken: before everything, and after each part. */
export type Stage = "start" | Part;

/** Text that the model wrote at one stage. */
export interface Passage {
  readonly stage: Stage;
  readonly prompt: string;
  readonly text: string;
}

export interface Curves {
  readonly loss: { readonly step: number; readonly loss: number }[];
  readonly heldOut: { readonly step: number; readonly loss: number }[];
  readonly reward: { readonly step: number; readonly reward: number; readonly low: number; readonly high: number }[];
  /** How far the policy was from the one that had drawn the samples, at each step of Adam. */
  readonly ratio: { readonly update: number; readonly distance: number; readonly clipped: number }[];
  readonly custom: { readonly step: number; readonly z: number; readonly crossEntropy: number }[];
}

/** All of it is JSON. */
export interface Record {
  readonly format: 1;
  readonly settings: Settings;
  /** Characters in the vocabulary. */
  readonly vocabulary: number;
  /** The part that is running and the steps of it that are done; null when all are. */
  part: Part | null;
  step: number;
  random: readonly number[];
  bigram: number;
  readonly heldOut: { [stage in Stage]?: number };
  readonly reward: { [stage in Stage]?: number };
  readonly seconds: { [part in Part]: number };
  readonly tokens: { [part in Part]: number };
  readonly curves: Curves;
  readonly passages: Passage[];
}

export function newRecord(settings: Settings, vocabulary: number): Record {
  const none = () => ({ supervised: 0, reinforcement: 0, custom: 0 });
  return {
    format: 1,
    settings,
    vocabulary,
    part: "supervised",
    step: 0,
    random: [],
    bigram: 0,
    heldOut: {},
    reward: {},
    seconds: none(),
    tokens: none(),
    curves: { loss: [], heldOut: [], reward: [], ratio: [], custom: [] },
    passages: [],
  };
}

const RECORD = "run.json";
/** The states take turns. */
const STATES: readonly string[] = ["state-1.safetensors", "state-2.safetensors"];

/**
 * Writes the state of the policy under the name that the record in the folder does not name, then the record that names it, then drops the other:
 * whenever the run is cut off, the folder holds one record and the state that belongs to it. Nothing else in the folder is removed.
 */
export async function saveRecord(folder: string, record: Record, client: TrainingClient): Promise<void> {
  await mkdir(folder, { recursive: true });
  const before = (await readRecord(folder))?.state;
  const old = STATES.find((name) => name === before);
  const state = STATES.find((name) => name !== before) as string;
  await client.saveState(join(folder, state));
  const aside = join(folder, `.${RECORD}`);
  await writeFile(aside, JSON.stringify({ ...record, state }));
  await rename(aside, join(folder, RECORD));
  if (old) await rm(join(folder, old), { force: true });
}

/** The record of the folder and the path of its state; null where there is none that this version and these settings could go on from. */
export async function loadRecord(folder: string, settings: Settings): Promise<{ record: Record; state: string } | null> {
  const record = await readRecord(folder);
  if (record?.format !== 1 || JSON.stringify(record.settings) !== JSON.stringify(settings)) return null;
  return { record, state: join(folder, record.state) };
}

async function readRecord(folder: string): Promise<(Record & { readonly state: string }) | null> {
  try {
    return JSON.parse(await readFile(join(folder, RECORD), "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || error instanceof SyntaxError) return null;
    throw error;
  }
}
