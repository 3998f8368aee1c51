/** Value and gradient of random losses on a device, a hundred to a unit, against what float32 arithmetic allows. */
import fc from "fast-check";
import { afterEach, expect, it, vi } from "vitest";
import { many, SEED, size } from "../sample.js";
import { casesOf, checkUnit, type Tally } from "./compare.js";
import { onDevices } from "./devices.js";
import { type Kind, recipes } from "./recipe.js";

const VOCABS = [1, 2, 7, 16, 37, 70];

interface Portion extends Kind {
  /** Graphs to a unit, and units on the CPU. A sample, a GPU and `emulated`, whose kernels take a compiler longer, run one unit of each kind. */
  readonly graphs: number;
  readonly units: number;
  /** For the compiler: most units do without what takes it long and these losses no time; one is compiled as users' are. */
  readonly flags: string;
}

const PORTIONS: readonly Portion[] = [
  { smooth: false, from: "logits", groups: false, graphs: size(40, 100), units: 2, flags: "-O0" },
  { smooth: false, from: "logits", groups: true, graphs: size(12, 50), units: 1, flags: "" },
  { smooth: false, from: "logits", groups: true, rows: true, graphs: size(40, 100), units: 2, flags: "-O0" },
  { smooth: false, from: "policy_logprobs", groups: false, graphs: size(40, 100), units: 3, flags: "-O0" },
  { smooth: false, from: "policy_logprobs", groups: true, graphs: size(40, 100), units: 1, flags: "-O0" },
];

/** The suite on one device. Each device has a file of its own, so that they run side by side. */
export function randomLosses(name: string): void {
  afterEach(() => vi.unstubAllEnvs());
  onDevices(
    (device) => {
      for (const kind of PORTIONS) {
        it(`from ${kind.from}${kind.rows ? ", with expressions of rows" : ""}${kind.groups ? ", with groups" : ""}`, {
          timeout: 600_000,
        }, async () => {
          vi.stubEnv("LOSSC_CXXFLAGS", kind.flags);
          const runs = many(1, name === "cpu" ? kind.units : 1);
          const tally: Tally = { graphs: 0, tight: 0, loose: 0 };
          const unit = fc.array(recipes(), { minLength: kind.graphs, maxLength: kind.graphs });
          await fc.assert(
            fc.asyncProperty(unit, async (drawn) => {
              const { cases, make } = casesOf(drawn, kind, VOCABS);
              await checkUnit(cases, await make(device()), tally);
            }),
            // A failing loss is printed as it is: compiling smaller ones one by one would take longer than reading it.
            { seed: SEED, numRuns: runs, endOnFailure: true, includeErrorInReport: true },
          );
          expect(tally.graphs).toBe(runs * kind.graphs);
          expect(tally.tight).toBeGreaterThan(3 * tally.loose);
        });
      }
    },
    [name],
  );
}
