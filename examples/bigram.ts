/** The baseline of the model: a table of how often each character follows each other, with one added to every count. */
export class BigramTable {
  readonly #logprobs: Float64Array;

  constructor(
    text: Int32Array,
    readonly vocab: number,
  ) {
    const table = new Float64Array(vocab * vocab).fill(1);
    for (let i = 1; i < text.length; i++) {
      const entry = this.#entry(text[i - 1], text[i]);
      table[entry] = (table[entry] as number) + 1;
    }
    for (let row = 0; row < table.length; row += vocab) {
      const counts = table.subarray(row, row + vocab);
      const total = counts.reduce((a, b) => a + b, 0);
      counts.forEach((count, next) => {
        counts[next] = Math.log(count / total);
      });
    }
    this.#logprobs = table;
  }

  /** Nats per character over what is read and what follows it. */
  loss(inputs: Int32Array, targets: Int32Array): number {
    return (
      -inputs.reduce((total, token, t) => total + (this.#logprobs[this.#entry(token, targets[t])] as number), 0) / inputs.length
    );
  }

  #entry(from: number | undefined, to: number | undefined): number {
    return (from as number) * this.vocab + (to as number);
  }
}
