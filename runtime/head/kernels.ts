/** What a head needs beside matrix products and rows, written once in the prelude's primitives for every target. */
import { TYPES } from "../../codegen/emit/dtypes.js";
import { type LogitsDtype, STATUS } from "../../codegen/plan.js";
import type { UnitSource } from "../devices/device.js";

/** Entry points by what they do. */
export const HEAD_KERNELS = { checkHidden: "k0", checkHead: "k1", add: "k2", finite: "k3" } as const;
export type HeadKernel = keyof typeof HEAD_KERNELS;

const check = (number: number, type: string, word: number) => `
struct K${number} {
  struct Args { index n; const ${type}* x; unsigned* status; index width; };
  LOSSC_FN static void element(const Args& a, index i) {
    const float x = load(a.x, i);
    if (x - x != 0.0f) flag(a.status, ${word}, i / a.width);
  }
};`;

/** The body of a kernel that adds numbers to others, as the struct of that number. */
export const addition = (number: number, type: string) => `
// to += from.
struct K${number} {
  struct Args { index n; const ${type}* from; ${type}* to; };
  LOSSC_FN static void element(const Args& a, index i) { store(a.to, i, load(a.to, i) + load(a.from, i)); }
};`;

/** For hidden states of a dtype and a gradient of the head of another. */
export function headUnit(dtype: LogitsDtype, sum: LogitsDtype): UnitSource {
  const bodies = [
    `// Tells of the first token whose gradient is not finite.${check(0, TYPES[dtype], STATUS.token)}`,
    `// Tells of the first entry of the head whose gradient is not finite.${check(1, TYPES[sum], STATUS.head)}`,
    addition(2, TYPES[sum]),
    `// to = from, 0 where a number is not finite: where that reached the logits their gradient is not finite either, or it is 0, which a product would make NaN.
struct K3 {
  struct Args { index n; const ${TYPES[dtype]}* from; ${TYPES[dtype]}* to; };
  LOSSC_FN static void element(const Args& a, index i) {
    const float x = load(a.from, i);
    store(a.to, i, x - x == 0.0f ? x : 0.0f);
  }
};`,
  ];
  return {
    comment: `Steps behind a head of ${dtype}, whose gradient is ${sum}.`,
    kernels: bodies.map((body, i) => ({ id: `k${i}`, body })),
  };
}
