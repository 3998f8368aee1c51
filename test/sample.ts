/**
 * How much of what is many a run tries, and from which seed. This is the one place that tells `npm test`, which takes samples, from
 * `npm run test:all`, which takes everything.
 *
 * | variable | meaning |
 * |---|---|
 * | `LOSSC_TESTS=all` | everything; `npm run test:all` sets it |
 * | `LOSSC_SEED` | the seed of samples and of random graphs: a number, or `random` |
 * | `LOSSC_GRAPHS` | so many times the usual number of random graphs |
 *
 * Without `LOSSC_SEED` the seed stays the same, so that a failure belongs to the change that made it.
 */

export const ALL = process.env.LOSSC_TESTS === "all";

export const SEED = seedFrom(process.env.LOSSC_SEED);

function seedFrom(given = "20261123"): number {
  const seed = given === "random" ? Math.floor(Math.random() * 0x7fffffff) : Number(given);
  if (!Number.isSafeInteger(seed)) throw new Error(`LOSSC_SEED is a whole number or "random", not ${JSON.stringify(given)}`);
  return seed;
}

/** So many in a sample, and so many in all. */
export const size = (sample: number, all: number): number => (ALL ? all : sample);

/** The same, times what `LOSSC_GRAPHS` says. */
export const many = (sample: number, all = sample): number =>
  Math.max(1, Math.round(size(sample, all) * Number(process.env.LOSSC_GRAPHS ?? 1)));

/** `count` of the cases, in their order, or all of them. `what` tells samples apart: each draws its own from the seed. */
export function sampled<T>(what: string, count: number, cases: readonly T[]): T[] {
  if (ALL || count >= cases.length) return [...cases];
  const random = numbersFrom([...what].reduce((hash, letter) => Math.imul(hash, 31) + (letter.codePointAt(0) as number), SEED));
  const left = cases.map((_, i) => i);
  const drawn = Array.from({ length: count }, () => left.splice(Math.floor(random() * left.length), 1)[0] as number);
  return drawn.sort((a, b) => a - b).map((i) => cases[i] as T);
}

/** Numbers in [0, 1) from a seed: mulberry32. */
export function numbersFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}
