/** The head of the `reference` device: its three products, in float64. */

/** hidden · headᵀ: token × vocabulary. */
export function logitsOf(hidden: Float64Array, head: Float64Array, width: number): Float64Array {
  const [tokens, vocab] = [hidden.length / width, head.length / width];
  const logits = new Float64Array(tokens * vocab);
  for (let t = 0; t < tokens; t++) {
    for (let v = 0; v < vocab; v++) {
      let sum = 0;
      for (let h = 0; h < width; h++) sum += (hidden[t * width + h] as number) * (head[v * width + h] as number);
      logits[t * vocab + v] = sum;
    }
  }
  return logits;
}

/**
 * From the gradient of the logits to those of hidden states and head. A token whose gradient is 0 adds nothing, even where its hidden state is not
 * finite.
 */
export function gradientsOf(gradient: Float64Array, hidden: Float64Array, head: Float64Array, width: number) {
  const [tokens, vocab] = [hidden.length / width, head.length / width];
  const [gradHidden, gradHead] = [new Float64Array(hidden.length), new Float64Array(head.length)];
  for (let t = 0; t < tokens; t++) {
    for (let v = 0; v < vocab; v++) {
      const g = gradient[t * vocab + v] as number;
      if (g === 0) continue;
      for (let h = 0; h < width; h++) {
        const [at, of] = [t * width + h, v * width + h];
        gradHidden[at] = (gradHidden[at] as number) + g * (head[of] as number);
        gradHead[of] = (gradHead[of] as number) + g * (hidden[at] as number);
      }
    }
  }
  return { gradHidden, gradHead };
}
