/** The prelude of each target, put together from the files in `preludes/`; that folder's README says what each holds. */
import { readFileSync } from "node:fs";
import type { Target } from "./plan.js";

const DEVICE = "#define LOSSC_FN __device__ __forceinline__\n";
const HOST = "#define LOSSC_FN inline __attribute__((always_inline))\n";

const PARTS: Record<Target, { readonly head: string; readonly files: readonly string[] }> = {
  cuda: {
    head: DEVICE,
    files: ["types.h", "cuda.h", "base.h", "simt.h", "simt-rows.h", "simt-folds.h", "simt-store.h", "simt-entries.h", "tails.h"],
  },
  cpu: {
    head: HOST,
    files: [
      "types.h",
      "host.h",
      "cpu.h",
      "cpu-machine.h",
      "cpu-memory.h",
      "base.h",
      "cpu-math.h",
      "cpu-doubles.h",
      "cpu-per-row.h",
      "cpu-rows.h",
      "cpu-many-rows.h",
      "cpu-entries.h",
      "tails.h",
    ],
  },
  emulated: {
    head: HOST,
    files: [
      "types.h",
      "watch.h",
      "host.h",
      "emulated.h",
      "base.h",
      "simt.h",
      "simt-rows.h",
      "simt-folds.h",
      "simt-store.h",
      "simt-entries.h",
      "tails.h",
    ],
  },
};

const texts = new Map<Target, string>();

/** The text that stands before every kernel of a target. */
export function preludeText(target: Target): string {
  let text = texts.get(target);
  if (text === undefined) {
    const { head, files } = PARTS[target];
    const parts = files.map((file) => readFileSync(new URL(`./preludes/${file}`, import.meta.url), "utf8"));
    text = [head, ...parts].join("\n");
    texts.set(target, text);
  }
  return text;
}
