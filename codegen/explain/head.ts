/** What a loss from hidden states costs in matrix products, and why. */
import { headPlanOf, productsOf } from "../head.js";
import type { ElementSpace, Plan } from "../plan.js";

export interface HeadExplanation {
  /** What a sweep waits for of other tokens: `token` is nothing. */
  readonly waitsFor: ElementSpace;
  /** Matrix products of tokens × hidden size × vocabulary, where what is waited for lies in one chunk of tokens. */
  readonly products: number;
  /** And where it does not. */
  readonly productsCut: number;
  readonly why: string;
}

const NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven"];

export function headExplanation(plan: Plan): HeadExplanation {
  const head = headPlanOf(plan);
  const [products, productsCut] = [productsOf(head, true), productsOf(head, false)];
  return { waitsFor: head.coupling, products, productsCut, why: why(head.coupling, products, productsCut) };
}

function why(waitsFor: ElementSpace, products: number, cut: number): string {
  const number = (n: number) => NUMBERS[n] ?? String(n);
  if (waitsFor === "token")
    return `${number(products)}: no token waits for another, so every chunk of tokens is carried to its end`;
  const again = `${number(cut)} where it does not, since the logits of a chunk are then made anew for every further sweep`;
  if (waitsFor === "batch") return `${number(products)} where the whole batch fits into one chunk (maxBytes), ${again}`;
  return `${number(products)} where each ${waitsFor} fits into a chunk, which then holds whole ${waitsFor}s, ${again}`;
}
