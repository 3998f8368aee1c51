/** Values of groups and sequences that a finer space uses are computed once per group and sequence, however many tokens load them. */
import { afterAll, describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { elementText } from "../../codegen/emit/kernel/sections.js";
import type { Plan } from "../../codegen/loss-plan.js";
import {
  add,
  defineLoss,
  type Expr,
  exp,
  type LossDefinition,
  log,
  max,
  mul,
  type Num,
  openDevice,
  pick,
  sub,
  sum,
  tanh,
} from "../../index.js";
import { compileBatch } from "../../runtime/compiled/compile-batch.js";
import { numbers, oracle } from "../runtime/oracle.js";
import { expectClose } from "../runtime/support.js";

/** ListMLE of groups of n sequences, given in the order of their ranks: Σ logsumexp(s_i, …, s_{n−1}) − s_i, by loops. */
const listMle = (n: number): LossDefinition =>
  defineLoss({
    name: `list_mle_${n}`,
    loss: (policy) => {
      const score = sum(policy.logprobs, "tokens");
      const scores = Array.from({ length: n }, (_, i) => pick(score, "sequences", i));
      const terms = scores.map((first, i) => {
        const rest = scores.slice(i);
        const top = rest.reduce((a, b) => max(a, b));
        const total = rest.reduce<Num>((z, s) => add(z, exp(sub(s, top))), 0);
        return sub(add(top, log(total)), first);
      });
      return terms.reduce((a, b) => add(a, b)) as Expr;
    },
  });

const SOURCES = [
  ["logits", "f32"],
  ["policy_logprobs", null],
] as const;

const lengthIn = ({ kernels }: Plan, space: string) =>
  kernels.filter((kernel) => kernel.space === space).reduce((most, { body }) => Math.max(most, body.length), 0);

describe.each(SOURCES)("ListMLE from %s", (_, logits) => {
  const plan = (n: number) => compilePlan({ loss: listMle(n), logits }).plan;

  test("no token computes what a sequence or a group has in common: its kernels are as long for 32 sequences as for 16", () => {
    const [half, whole] = [lengthIn(plan(16), "token"), lengthIn(plan(32), "token")];
    expect(Math.abs(whole - half)).toBeLessThan(50);
  });

  test("no sequence computes what a group has in common: its kernels are twice as long for 32 as for 16", () => {
    expect(lengthIn(plan(32), "sequence") / lengthIn(plan(16), "sequence")).toBeLessThan(2.1);
  });

  test("only kernels of groups compute exponentials of scores", () => {
    for (const { body, space } of plan(16).kernels)
      if (space !== "group") expect(body.match(/exp_\(/g) ?? [], space).toHaveLength(0);
  });

  test("one kernel of groups computes the gradient with the loss, so that they share exponentials", () => {
    expect(plan(16).kernels.filter(({ space }) => space === "group")).toHaveLength(1);
  });
});

test("a value per sequence of few operations is computed where it is used, without a kernel of its own", () => {
  const loss = defineLoss({
    name: "short",
    inputs: { advantages: "sequence" },
    loss: (policy, { advantages }) => mul(policy.logprobs, tanh(tanh(advantages))),
  });
  expect(compilePlan({ loss, logits: "f32" }).plan.kernels.map(({ kind }) => kind)).toEqual(["sweep"]);
});

test("a long value per sequence that inputs give is computed before the sweep, by a kernel of sequences", () => {
  const loss = defineLoss({
    name: "long",
    inputs: { advantages: "sequence" },
    loss: (policy, { advantages }) =>
      mul(
        policy.logprobs,
        Array(80)
          .fill(0)
          .reduce<Num>((x) => tanh(add(x, 0.1)), advantages),
      ),
  });
  const { kernels } = compilePlan({ loss, logits: "f32" }).plan;
  expect(kernels.map(({ kind, space }) => `${kind} ${space}`)).toEqual(["step sequence", "sweep token"]);
  expect(kernels[1]?.body).not.toContain("tanh_");
});

describe("a long function", () => {
  const mulAdjoint = (n: number) => [
    "    const auto i0 = read(a.p0, i);",
    "    const auto x0 = load(a.p1, i0);",
    ...Array.from({ length: n }, (_, k) => [
      `    const auto b${k} = ${k ? `v${k - 1}` : "x0"} < 1.0f;`,
      `    const auto v${k} = select(b${Math.max(0, k - 300)}, x0, ${k ? `v${k - 1}` : "x0"});`,
    ]).flat(),
    `    store(a.p2, i0, v${n - 1});`,
  ];

  test("is cut into sections, each of which loads what it uses and does not define", () => {
    const text = elementText(mulAdjoint(1000), "i").join("\n");
    const sections = text.split(/\n(?= {2}\S)/).filter((part) => part.includes("LOSSC_APART"));
    expect(sections.length).toBeGreaterThan(7);
    for (const section of sections) {
      const defined = new Set([...section.matchAll(/const auto (\w+) =/g)].map(([, name]) => name));
      for (const [name] of section.matchAll(/\b[bivx]\d+\b/g)) expect(defined).toContain(name);
      expect(section.split("\n").length).toBeLessThan(1000);
    }
  });

  test("keeps as much between sections as its values' lives ask for, not all of them", () => {
    const text = elementText(mulAdjoint(4000), "i").join("\n");
    expect(Number(/float floats\[(\d+)\]/.exec(text)?.[1])).toBeLessThan(10);
    expect(Number(/bool bools\[(\d+)\]/.exec(text)?.[1])).toBeLessThan(600);
  });

  test("is one function where it is short", () => {
    expect(elementText(mulAdjoint(3), "i").join("\n")).not.toContain("section");
  });
});

describe.each(["cpu", "emulated"])("on %s", async (name) => {
  const SIZES = [3, 16, 24];
  const device = await openDevice(name);
  afterAll(() => device.dispose());
  const compiled = compileBatch(device, SIZES.map(listMle), { dtype: null });

  test.each(SIZES.map((n, i) => [n, i] as const))(
    "ListMLE of groups of %i matches reference",
    async (n, i) => {
      const lengths = Array.from({ length: 2 * n }, (_, s) => 1 + (s % 3));
      const tokens = lengths.reduce((a, b) => a + b);
      const given = {
        lengths,
        groups: [n, n],
        policy_logprobs: Array.from({ length: tokens }, (_, t) => -0.1 - ((t * 37) % 19) / 7),
        weights: Array.from({ length: tokens }, (_, t) => (t % 11 === 3 ? 0 : 1)),
      };
      const found = await (await compiled)[i]?.forwardBackward(given);
      const expected = await oracle(listMle(n), given);
      expectClose([found?.loss as number], [expected.loss], 2e-5);
      expectClose(numbers(found?.gradLogprobs), numbers(expected.gradLogprobs), 2e-5);
    },
    120_000,
  );
});
