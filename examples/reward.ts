/** A reward that a program can verify: how much of a text is words of the book. */
import { words } from "./text.js";

/**
 * The share of the characters that lie in words of the lexicon. A word counts once, so that saying the same word over and over earns nothing, and
 * single letters other than "a" and "I" count as no words.
 */
export function reward(text: string, lexicon: ReadonlySet<string>): number {
  if (text.length === 0) return 0;
  const distinct = new Set(words(text.toLowerCase()).filter((word) => isKnown(word, lexicon)));
  return [...distinct].reduce((total, word) => total + word.length, 0) / text.length;
}

/** Whether a word is in the lexicon; single letters must be words of the language. */
export function isKnown(word: string, lexicon: ReadonlySet<string>): boolean {
  const small = word.toLowerCase();
  return small.length === 1 ? small === "a" || small === "i" : lexicon.has(small);
}
