/** How much the C++ compiler is asked for. */
import { afterAll } from "vitest";
import { ALL } from "./sample.js";

/**
 * Called by a test file whose kernels are many, run on little, and are there for their numbers: in a sample the C++ compiler is not asked to
 * optimise them, which is most of its work. The text of the kernels is what users get. In `npm run test:all` the flags are, too.
 */
export function withoutOptimisation(): void {
  if (ALL) return;
  const before = process.env.LOSSC_CXXFLAGS;
  process.env.LOSSC_CXXFLAGS = "-O0";
  // Other files may follow in the same process.
  afterAll(() => {
    if (before === undefined) delete process.env.LOSSC_CXXFLAGS;
    else process.env.LOSSC_CXXFLAGS = before;
  });
}
