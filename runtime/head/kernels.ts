/** The kernels of a head beside matrix products and copies of rows, written once in the primitives of the preludes for every target. */
import { TYPES } from "../../codegen/emit/dtypes.js";
import type { LogitsDtype } from "../../codegen/loss-program.js";
import { STATUS } from "../../codegen/schedule/plan.js";
import type { ModuleSource } from "../devices/device.js";

/** The kernels of {@link headModule}. */
export type HeadKernel = "checkHidden" | "checkHead" | "add" | "zeroNonFinite";

const check = (name: string, type: string, word: number) => `
struct ${name} {
  struct Args { index n; const ${type}* x; unsigned* status; index width; };
  LOSSC_FN static void element(const Args& a, index i) {
    const float x = load(a.x, i);
    if (x - x != 0.0f) flag(a.status, ${word}, i / a.width);
  }
};`;

/** The body of the kernel `add`. */
export const addition = (type: string) => `
// to += from.
struct Add {
  struct Args { index n; const ${type}* from; ${type}* to; };
  LOSSC_FN static void element(const Args& a, index i) { store(a.to, i, load(a.to, i) + load(a.from, i)); }
};`;

/** For hidden states of a dtype and a gradient of the head of another. */
export function headModule(dtype: LogitsDtype, sum: LogitsDtype): ModuleSource {
  const bodies: Readonly<Record<HeadKernel, string>> = {
    checkHidden: `// Flags the first token whose gradient is not finite.${check("CheckHidden", TYPES[dtype], STATUS.token)}`,
    checkHead: `// Flags the first entry of the head whose gradient is not finite.${check("CheckHead", TYPES[sum], STATUS.head)}`,
    add: addition(TYPES[sum]),
    zeroNonFinite: `// to = from, 0 where a number is not finite. Where such a number reached the logits, their gradient is not finite either, or it is 0,
// and 0 · NaN would be NaN.
struct ZeroNonFinite {
  struct Args { index n; const ${TYPES[dtype]}* from; ${TYPES[dtype]}* to; };
  LOSSC_FN static void element(const Args& a, index i) {
    const float x = load(a.from, i);
    store(a.to, i, x - x == 0.0f ? x : 0.0f);
  }
};`,
  };
  return {
    comment: `Steps behind a head of ${dtype}, whose gradient is ${sum}.`,
    kernels: Object.entries(bodies).map(([id, body]) => ({ id, body })),
  };
}
