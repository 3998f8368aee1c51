/** The error function in float64, which JavaScript lacks. */

/** 2 / √π, its slope at 0. */
export const ERF_SLOPE = 2 / Math.sqrt(Math.PI);

/** 2/√π · ∫₀ˣ exp(−t²) dt, to an error of 1e-15. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (size <= 2) return ERF_SLOPE * Math.exp(-x * x) * series(x);
  return Math.sign(x) * (1 - complement(size));
}

/** Σ 2ⁿ x²ⁿ⁺¹ / (1 · 3 · … · (2n + 1)): all terms have one sign, so that none is lost to cancellation. */
function series(x: number): number {
  let sum = x;
  let term = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return sum;
}

/** 1 − erf x for x > 2, by its continued fraction: exp(−x²) / √π / (x + ½ / (x + 1 / (x + 1½ / …))). */
function complement(x: number): number {
  let fraction = x;
  for (let n = 60; n > 0; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}
