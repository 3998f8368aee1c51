/** The letters and signs of formulas, and how texts are put together. */

/** How tightly a text binds, from a sum to a name. */
export const [SUM, QUOTIENT, PRODUCT, NEGATIVE, ATOM] = [0, 1, 2, 3, 4];

export interface Written {
  readonly text: string;
  readonly level: number;
}

/** Letters for the values that every loss has. The legend has an entry for each that is used. */
export const SYMBOLS: ReadonlyMap<string, string> = new Map([
  ["ℓ", "policy.logprobs, log p[y] of each token"],
  ["w", "weights, per token, 1 where none are given"],
  ["y", "target_tokens, the token's target"],
  ["v", "an entry of the vocabulary; u likewise, in sums"],
  ["z", "policy.logits"],
  ["p", "softmax(z)"],
  ["Z", "Σ exp z over the row; log Z is policy.logsumexp"],
  ["H", "−Σ p log p over the row, policy.entropy"],
  ["V", "the size of the vocabulary"],
  ["N", "the count of tokens, those of weight 0 left out; per sequence or group where so marked"],
]);

export const SUPERSCRIPTS = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"];

/** A value in vocab space names its entry, but where the whole row is meant. */
export const indexed = (name: string, index: string): string => (index === "" ? name : `${name}[${index}]`);

export const atom = (text: string): Written => ({ text, level: ATOM });

export function numberText(value: number): string {
  const fraction = new Map([
    [0.5, "½"],
    [0.25, "¼"],
    [0.75, "¾"],
  ]).get(value);
  if (fraction) return fraction;
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : "∞";
  if (value === 0 || (value >= 1e-4 && value < 1e7)) return String(Number(value.toPrecision(6)));
  const [digits, exponent] = value.toExponential(5).split("e") as [string, string];
  const power = `10${exponent
    .replace("+", "")
    .replace("-", "⁻")
    .replaceAll(/\d/g, (digit) => SUPERSCRIPTS[Number(digit)] as string)}`;
  return Number(digits) === 1 ? power : `${Number(digits)}·${power}`;
}

/** A factor or a power of it, in parentheses where it binds less than it must. */
export function raisedText(written: Written, n: number, level: number): string {
  const m = Math.abs(n);
  if (m === 1) return written.level >= level ? written.text : `(${written.text})`;
  const base = written.level === ATOM ? written.text : `(${written.text})`;
  return `${base}${SUPERSCRIPTS[m] ?? `^${numberText(m)}`}`;
}
