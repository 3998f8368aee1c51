/** The passes over the record of a row kernel, in their order; each is verified when it is done. */
import { cacheExp } from "./cache-exp.js";
import { factorExponentials } from "./factor-exponentials.js";
import { guardProducts } from "./guard-products.js";
import { onlineSoftmax } from "./online-softmax.js";
import { type RowWork, rowKernelOf } from "./phases.js";
import type { RowKernel } from "./record.js";
import { verifyRows } from "./verify.js";

export interface RowPass {
  readonly name: string;
  readonly run: (kernel: RowKernel) => RowKernel;
}

export const ROW_PASSES: readonly RowPass[] = [
  { name: "phases", run: (kernel) => kernel },
  { name: "online softmax", run: onlineSoftmax },
  { name: "cache exp", run: cacheExp },
  { name: "factor exponentials", run: factorExponentials },
  { name: "guard products", run: guardProducts },
];

/** The record of a sweep after every pass. `seen` is called after each. */
export function runRowPasses(work: RowWork, seen?: (pass: RowPass, kernel: RowKernel) => void): RowKernel {
  return ROW_PASSES.reduce((before, pass) => {
    const after = verifyRows(pass.run(before), pass.name);
    seen?.(pass, after);
    return after;
  }, rowKernelOf(work));
}
