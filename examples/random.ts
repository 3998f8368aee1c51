/** Random numbers from a seed, whose state can be kept in a file: a run that goes on draws what it would have drawn. */
export class Random {
  readonly #state: Uint32Array;

  /** From a seed, or from what {@link Random.state} gave. */
  constructor(from: number | readonly number[]) {
    this.#state = Uint32Array.from(typeof from === "number" ? [from, 0x9e3779b9, 0x243f6a88, 1] : from);
    if (typeof from === "number") for (let i = 0; i < 16; i++) this.#next();
  }

  get state(): number[] {
    return [...this.#state];
  }

  /** At least 0 and less than 1. */
  uniform(): number {
    return this.#next() / 2 ** 32;
  }

  /** A whole number at least 0 and less than n. */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Mean 0, deviation 1. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** The whole numbers below n in a random order. */
  permutation(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    return order;
  }

  /** A small chaotic generator: three words that mix, and a counter that keeps the period long. */
  #next(): number {
    const [a, b, c, counter] = this.#state as unknown as [number, number, number, number];
    const sum = (a + b + counter) >>> 0;
    this.#state[0] = b ^ (b >>> 9);
    this.#state[1] = c + (c << 3);
    this.#state[2] = ((c << 21) | (c >>> 11)) + sum;
    this.#state[3] = counter + 1;
    return sum;
  }
}
