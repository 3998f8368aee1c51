/** A few cases of every fuzzer, from seeds that stay the same: `npm run fuzz` draws others for a given time. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type FuzzerName, fuzz } from "./index.js";

// A loss is compiled for a few calls.
beforeEach(() => void vi.stubEnv("LOSSC_CXXFLAGS", "-O0"));
afterEach(() => void vi.unstubAllEnvs());

test.each([
  ["calls", "cpu", 30, 1],
  ["calls", "reference", 40, 1],
  ["shapes", "cpu", 20, 1],
  ["memory", "cpu", 60, 1],
  ["memory", "reference", 40, 1],
  ["workers", "cpu", 3, 1],
  ["states", "cpu", 40, 1],
  ["states", "reference", 60, 1],
] satisfies readonly (readonly [FuzzerName, string, number, number])[])(
  "no random case breaks it: %s on %s, %i from the seed %i",
  async (name, device, runs, seed) => {
    expect(await fuzz(name, { device, seed, runs })).toEqual({ cases: runs, failure: null });
  },
);
