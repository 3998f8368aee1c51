/** The plugin: this very file sees losses with native operators through it. */
import { describe, expect, test } from "vitest";
import type { Plugin } from "vitest/config";
import { compilePlan } from "../../codegen/compile.js";
import type { LossDefinition } from "../../dsl/define-loss.js";
import { trace } from "../../dsl/trace.js";
import lossc from "../../runtime/vite.js";
import { mixed as calledMixed, ppo as calledPpo } from "./fixtures/called.js";
import { mixed, ppo } from "./fixtures/written.loss.js";

describe("a loss that is written with operators", () => {
  test.each<[string, LossDefinition, LossDefinition]>([
    ["ppo", ppo, calledPpo],
    ["mixed", mixed, calledMixed],
  ])("%s has the graph of its twin that is written with functions", (_, written, called) => {
    const options = { from: "logits", statics: {} } as const;
    const [mine, twin] = [trace(written, options), trace(called, options)];
    expect(mine.terms.length).toBe(twin.terms.length);
    mine.terms.forEach((term, i) => {
      expect(term === twin.terms[i]).toBe(true);
    });
    expect([...mine.metrics.keys()]).toEqual([...twin.metrics.keys()]);
    for (const [key, metric] of mine.metrics) expect(metric === twin.metrics.get(key)).toBe(true);
    expect(compilePlan({ loss: written, logits: "f32" }).plan).toEqual(compilePlan({ loss: called, logits: "f32" }).plan);
  });
});

describe("the plugin", () => {
  const plugin: Plugin = lossc();
  const { transform } = lossc();

  test("is one of Vite's", () => {
    expect(plugin).toMatchObject({ name: "lossc", enforce: "pre" });
  });

  test("rewrites *.loss.ts with any query that Vite adds, and leaves other files alone", () => {
    for (const id of ["/a/x.loss.ts", "/a/x.loss.ts?v=1", "/a/x.loss.mts", "/a/x.loss.js", "/a/x.loss.mjs#part"]) {
      const result = transform("export const c = a + b;", id);
      expect(result?.code).toContain(".add(a, b)");
      expect(result?.map.sources).toEqual([id.replace(/[?#].*/, "")]);
    }
    expect(transform("export const c = a + b;", "/a/x.ts")).toBeNull();
    expect(transform("export const c = a + b;", "/a/x.css?y=.loss.ts")).toBeNull();
  });

  test("leaves a loss that is built already as it is", () => {
    const { code } = transform("export const c = a + b;", "/a/x.loss.ts") as { code: string };
    expect(transform(code, "/a/x.loss.js")).toBeNull();
  });

  test("imports the helpers from the module that the option names", () => {
    expect(lossc({ operators: "../dsl/operators.js" }).transform("a + b;", "/x.loss.ts")?.code).toContain(
      'from "../dsl/operators.js"',
    );
  });
});
