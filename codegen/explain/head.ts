/** The matrix products that a loss from hidden states takes, and why. */
import type { Plan } from "../loss-plan.js";
import type { PlanHead } from "../schedule/head.js";

export interface HeadExplanation extends PlanHead {
  readonly why: string;
}

const NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven"];

/** Of a plan from logits. */
export function headExplanation({ head }: Plan): HeadExplanation {
  const known = head as PlanHead;
  return { ...known, why: why(known) };
}

function why({ waitsFor, products, productsCut }: PlanHead): string {
  const number = (n: number) => NUMBERS[n] ?? String(n);
  if (waitsFor === "token")
    return `${number(products)}, for no token waits for another, and each chunk of tokens is finished before the next begins`;
  const again = `${number(productsCut)} where it does not, for the logits of a chunk are then made again for each further sweep`;
  if (waitsFor === "batch") return `${number(products)} where the whole batch fits into one chunk (maxBytes), ${again}`;
  return `${number(products)} where each ${waitsFor} fits into a chunk, which then holds whole ${waitsFor}s, ${again}`;
}
