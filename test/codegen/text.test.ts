/** Kernel text holds floats to the last bit, and a user's names in comments only. */
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { emitText, preludeText, type TargetName } from "../../codegen/emit/index.js";
import { commentText, floatText } from "../../codegen/emit/text.js";
import {
  abs,
  add,
  defineLoss,
  div,
  type Expr,
  exp,
  type LossDefinition,
  max,
  mean,
  mul,
  neg,
  softmax,
  sub,
  sum,
} from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";
import { onDevices } from "../properties/devices.js";
import { SEED } from "../sample.js";

const TARGETS: readonly TargetName[] = ["cuda", "cpu", "emulated"];
const textOf = (loss: LossDefinition, target: TargetName = "cuda") =>
  emitText(compilePlan({ loss, logits: "bf16" }).plan, { target, architecture: "sm_90", vocab: 131072 }).text;
const withoutComments = (text: string) => text.replace(/ *\/\/.*$/gm, "");

const kernelsOf = (text: string) => text.split("// ---- kernels ----")[1]?.split("// ---- entry points ----")[0];

describe("floatText", () => {
  it.each([
    [0, "0.0f"],
    [-0, "-0.0f"],
    [1, "1.0f"],
    [-2.5, "-2.5f"],
    [0.1, "0.1f"],
    [1e-7, "1e-7f"],
    [1e21, "1e+21f"],
    [1 / 3, "0.33333334f"],
    [16777217, "16777216.0f"],
    [1e300, "LOSSC_INFINITY"],
    [Number.NEGATIVE_INFINITY, "-LOSSC_INFINITY"],
    [Number.NaN, "as_float(0x7fc00000u)"],
  ])("%d is %s", (value, text) => {
    expect(floatText(value)).toBe(text);
  });

  it("reads back as the same float32", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = floatText(value);
        expect(text).toMatch(/^-?\d+(\.\d+)?(e[+-]\d+)?f$/);
        expect(Object.is(Math.fround(Number(text.slice(0, -1))), value)).toBe(true);
      }),
      { seed: SEED, numRuns: 2000 },
    );
  });
});

describe("commentText", () => {
  it("holds nothing that ends or continues a comment, however it is cut", () => {
    const units = fc.string({
      unit: fc.constantFrom("\\", "\n", "\r", "*/", "??/", "/*", "\u2028", "é", "😀", "a", " ", '"', "\0"),
      minLength: 60,
      maxLength: 200,
    });
    fc.assert(
      fc.property(fc.nat(12), units, (shift, name) => {
        const text = commentText("x".repeat(shift) + name);
        expect(text).toMatch(/^[\x20-\x7e]*$/);
        expect(text).not.toMatch(/\\$|\*\/|\?\?/);
        expect(text.length).toBeLessThanOrEqual(120);
      }),
      { seed: SEED, numRuns: 2000 },
    );
  });
});

/** ppo as a user would write it again. */
const again = (name: string) =>
  defineLoss({
    name,
    inputs: ppo.inputs,
    config: { clip_low_threshold: 0.8, clip_high_threshold: 1.2 },
    loss: ppo.loss as never,
  }) as unknown as LossDefinition;

describe("names", () => {
  it.each(TARGETS)("a renamed copy of ppo has the same text on %s but for its name", (target) => {
    expect(textOf(again("mine"), target)).toBe(textOf(ppo as LossDefinition, target).replaceAll('"ppo"', '"mine"'));
  });

  const EVIL = [
    'x"; }',
    "a\n#error",
    "*/ int main() {",
    "back\\",
    "trigraph??/",
    "\u2028line",
    "ünïcödé 😀",
    `${"x".repeat(115)}\\\\\\`,
    "%s%n",
    'R"(',
    "\0",
    "// ",
    "'",
  ];

  it.each(EVIL)("the loss %j reaches nothing but comments", (name) => {
    for (const target of TARGETS)
      expect(withoutComments(textOf(again(name), target))).toBe(withoutComments(textOf(again("tame"), target)));
  });

  /** Every name that a user may choose, chosen badly. */
  const hostile = (name: string): LossDefinition =>
    defineLoss({
      name,
      inputs: { [name]: "token", [`${name}2`]: { space: "sequence", default: 0.5 } },
      config: { [name]: 2 },
      loss(policy, inputs, config) {
        const at = (record: object, key: string) => (record as Record<string, Expr>)[key] as Expr;
        const x = mul(at(inputs, name), at(config, name));
        return {
          loss: mul(neg(policy.logprobs), add(x, at(inputs, `${name}2`))),
          metrics: { [name]: mean(x) },
          outputs: { [name]: x },
        };
      },
    }) as unknown as LossDefinition;

  it.each(EVIL)("inputs, config, metrics and outputs called %j neither", (name) => {
    for (const target of TARGETS)
      expect(withoutComments(textOf(hostile(name), target))).toBe(withoutComments(textOf(hostile("tame"), target)));
  });

  onDevices(
    (device) => {
      it.each(['x"; }', `${"x".repeat(115)}\\\\\\`, "a\n#error *///"])("a loss called %j compiles and runs", async (name) => {
        const compiled = await device().compile(hostile(name));
        const result = await compiled.forwardBackward({ lengths: [1], logits: [0, 0], target_tokens: [1], [name]: [3] });
        expect(result.loss).toBeCloseTo(Math.LN2 * 6.5, 5);
        expect(result.metrics[name]).toBeCloseTo(6, 5);
        expect(Array.from(result.outputs[name] as Float32Array)).toEqual([6]);
      });
    },
    ["cpu", "cuda:0"],
  );
});

test("a number that a metric is, too, is not loaded from the metric's place", () => {
  const loss = defineLoss({
    name: "constant metric",
    loss: ({ logits }) => ({ loss: sum(abs(sub(softmax(logits), 0.5)), "vocab"), metrics: { half: mean(0.5) } }),
  });
  const [, sweep] = kernelsOf(textOf(loss))?.split("struct K1") ?? [];
  expect(sweep).toContain("of logits");
  expect(sweep).not.toContain("metric half");
});

describe("numbers of the user's", () => {
  const large = defineLoss({
    name: "large",
    inputs: {
      x: { space: "token", default: 1e21 },
      y: { space: "token", default: 1e-30 },
      z: { space: "token", default: 1e300 },
      w: { space: "token", default: -0.1 },
    },
    loss: (policy, { x, y, z, w }) => ({
      loss: mul(policy.logprobs, w),
      outputs: { x: div(x, 1e21), y: div(y, 1e-30), z: max(z, -1e-9), w: sub(w, -1e9) },
    }),
  }) as unknown as LossDefinition;

  onDevices(
    (device) => {
      it("defaults and constants of any size are what the kernel reads", async () => {
        const compiled = await device().compile(large);
        const { outputs, loss } = await compiled.forwardBackward({ lengths: [1], policy_logprobs: [-1] });
        expect(outputs.x?.[0]).toBeCloseTo(1, 6);
        expect(outputs.y?.[0]).toBeCloseTo(1, 6);
        expect(outputs.z?.[0]).toBeGreaterThan(1e38);
        expect(outputs.w?.[0]).toBeCloseTo(1e9, -2);
        expect(loss).toBeCloseTo(0.1, 6);
      });
    },
    ["reference", "cpu", "cuda:0"],
  );
});

describe("the body", () => {
  const loss = defineLoss({
    name: "shared",
    inputs: { a: "token" },
    loss(policy, { a }) {
      const ratio = exp(sub(policy.logprobs, a));
      return [mul(ratio, a), mul(ratio, ratio), sum(ratio)];
    },
  }) as unknown as LossDefinition;

  it("computes once what is used more than once", () => {
    const body = compilePlan({ loss, logits: "f32" })
      .plan.kernels.map((kernel) => kernel.body)
      .join("\n");
    // One exp per token; those of the row are fast_exp_.
    expect(body.match(/(?<!fast_)exp_\(/g)).toHaveLength(1);
  });

  it("is the same on every target: no condition on the target within it", () => {
    const bodies = TARGETS.map((target) => kernelsOf(textOf(loss, target)));
    expect(bodies[1]).toBe(bodies[0]);
    expect(bodies[2]).toBe(bodies[0]);
    for (const target of TARGETS) {
      const text = textOf(loss, target);
      expect(kernelsOf(text)).not.toMatch(/#if|__CUDA|constexpr \(/);
      expect(text).toContain(preludeText(target));
    }
  });
});
