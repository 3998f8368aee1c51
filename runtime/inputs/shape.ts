/** The shape of a batch: lengths, groups and vocabulary. It is checked before all other inputs. */
import { LosscError } from "../../dsl/errors.js";
import { describe, wholeNumbers } from "./numbers.js";
import type { BatchShape } from "./structure.js";

/** Kernels index tokens, sequences and vocabulary entries with int32 arrays. */
const LIMIT = 2 ** 31 - 1;

/** Checks `lengths`. `INPUT_MISSING`, `INPUT_DTYPE`, `INPUT_LENGTH`. */
export function checkLengths(value: unknown): {
  readonly lengths: number[];
  readonly tokens: number;
} {
  if (value === undefined)
    throw new LosscError("INPUT_MISSING", "the input lengths is missing; give the number of tokens of each datum");
  const lengths = wholeNumbers(value, "lengths", 0, "the tokens of one datum each");
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  if (tokens > LIMIT)
    throw new LosscError("INPUT_LENGTH", `lengths sum to ${tokens} tokens; a call takes at most ${LIMIT}, so split the batch`);
  return { lengths, tokens };
}

/** Checks `groups`: positive whole numbers that sum to the number of data. Null where left out. */
export function checkGroups(value: unknown, sequences: number): number[] | null {
  if (value === undefined) return null;
  const groups = wholeNumbers(value, "groups", 1, "the data of one group each");
  const total = groups.reduce((sum, group) => sum + group, 0);
  if (total !== sequences) {
    throw new LosscError(
      "INPUT_LENGTH",
      `groups sum to ${total}, but lengths has ${sequences} ${sequences === 1 ? "datum" : "data"}; every datum belongs to one group`,
    );
  }
  return groups;
}

/** The vocabulary's size: as given, else from the number of logits. With no tokens and nothing given, null. */
export function checkVocab(given: unknown, logits: number, tokens: number): number | null {
  if (given !== undefined && (typeof given !== "number" || !Number.isSafeInteger(given) || given < 1 || given > LIMIT)) {
    throw new LosscError("INPUT_LENGTH", `vocab is ${describe(given)}; it is a whole number from 1 to ${LIMIT}`);
  }
  const vocab = given as number | undefined;
  if (vocab !== undefined) {
    if (logits !== tokens * vocab) {
      throw new LosscError(
        "INPUT_LENGTH",
        `logits has ${logits} entries, but lengths make ${tokens} tokens of ${vocab} vocabulary entries, that is ${tokens * vocab}`,
      );
    }
    return vocab;
  }
  if (tokens === 0) {
    if (logits !== 0) throw new LosscError("INPUT_LENGTH", `logits has ${logits} entries, but lengths make 0 tokens`);
    return null;
  }
  const derived = logits / tokens;
  if (!Number.isInteger(derived) || derived < 1) {
    throw new LosscError(
      "INPUT_LENGTH",
      `logits has ${logits} entries, which is no whole number of vocabulary entries for the ${tokens} tokens that lengths make; give token × vocabulary numbers, row after row`,
    );
  }
  return derived;
}

/** `INPUT_LENGTH` where an input has not one entry per element of its space. */
export function checkCount(
  name: string,
  length: number,
  shape: BatchShape,
  space: "token" | "sequence" | "group" | "vocab" | "entry",
): void {
  const { tokens, lengths, groups, vocab } = shape;
  const wanted = {
    token: tokens,
    sequence: lengths.length,
    group: groups?.length ?? 0,
    vocab: tokens * vocab,
    entry: vocab,
  }[space];
  // Without tokens nobody says how many entries a row has.
  if (length === wanted || (space === "entry" && vocab === 0)) return;
  const unit = {
    token: "token",
    sequence: "datum",
    group: "group",
    vocab: "vocabulary entry of every token",
    entry: "vocabulary entry",
  }[space];
  const made = `${plural(tokens, "token")} in ${plural(lengths.length, "datum", "data")}${groups ? ` and ${plural(groups.length, "group")}` : ""}`;
  const first = space === "token" && length === lengths.length ? " (as many as there are data: is it meant per datum?)" : "";
  throw new LosscError(
    "INPUT_LENGTH",
    `${name} has ${plural(length, "entry", "entries")}${first}, but the batch has ${made}; give one per ${unit}, that is ${wanted}`,
  );
}

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
