/** `lossc check`. */
import { describe, expect, test } from "vitest";
import { defineLoss } from "../../dsl/index.js";
import type { Outcome } from "../../runtime/cli/check-compare.js";
import { type Range, randomBatch, shapeOf } from "../../runtime/cli/check-inputs.js";
import { sampled } from "../sample.js";
import { failure, folder, lossc, result } from "./lossc.js";

interface Report {
  readonly loss: string;
  readonly seed: number;
  readonly outcome: Outcome;
  readonly counts: { readonly within: number; readonly wrong: number; readonly atKink: number; readonly notFinite: number };
  readonly comparisons: readonly {
    readonly case: string;
    readonly note: string | null;
    readonly device: string;
    readonly compared: string;
    readonly error: number;
    readonly outcome: Outcome;
    readonly reason: string | null;
    readonly leftOut: number;
    readonly of: number;
  }[];
}

/** The report where nothing is wrong, with the exit code that says whether everything could be compared. */
async function soundReport(args: readonly string[], cwd?: string): Promise<Report> {
  const { code, stdout, stderr } = await lossc(["check", ...args, "--json"], cwd === undefined ? {} : { cwd });
  expect(stderr).toBe("");
  const report = JSON.parse(stdout) as Report;
  expect(report.comparisons.filter(({ outcome }) => outcome === "wrong")).toEqual([]);
  expect([code, report.outcome]).toEqual(
    report.counts.atKink + report.counts.notFinite > 0 ? [3, "not comparable"] : [0, "within tolerance"],
  );
  return report;
}

/** Coupled through sequences, with a factor held still, an input per sequence, and a constant. */
const COUPLED = `
import { defineLoss, div, exp, mean, mul, neg, stopGradient, sub, sum, variance } from "lossc";
export const coupled = defineLoss({
  name: "coupled",
  inputs: { logprobs: "token", reward: "sequence" },
  config: { beta: 0.5, centred: true },
  loss(policy, inputs, config) {
    const ratio = stopGradient(exp(mean(sub(policy.logprobs, inputs.logprobs), "tokens")));
    const score = config.centred ? sub(inputs.reward, mean(inputs.reward)) : inputs.reward;
    return { loss: [neg(mul(mul(ratio, score), sum(policy.logprobs, "tokens"))), mul(config.beta, variance(policy.logprobs))] };
  },
});
`;

/** They bend or leap where the policy's logprobs are those of the sampler, of which float32 and float64 have the rounding on either side. */
const BENT = `
import { abs, defineLoss, eq, gt, max, mean, mul, sign, std, sub, sum, where } from "lossc";
const made = (name, of) => defineLoss({ name, inputs: { logprobs: "token" }, loss: (policy, inputs) => of(sub(policy.logprobs, inputs.logprobs), policy.logprobs) });
export const absolute = made("absolute", (d) => abs(d));
export const sequences = made("sequences", (d) => abs(mean(d, "tokens")));
export const positive = made("positive", (d) => max(d, 0));
export const hinge = made("hinge", (d) => max(sum(d, "tokens"), 0));
export const gate = made("gate", (d, l) => where(gt(d, 0), l, mul(2, l)));
export const signed = made("signed", (d, l) => mul(sign(d), l));
export const same = made("same", (d, l) => where(eq(d, 0), l, mul(3, l)));
export const spread = made("spread", (d) => std(d));
`;

/** Sums of two sequences are compared, and in some cases they tie but for rounding. */
const RANKS = `
import { defineLoss, type Expr, exp, floor, pick, sum } from "lossc";
const ranked = (name: string, of: (at: Expr, s: Expr, j: number) => Expr) => defineLoss({
  name,
  inputs: { logprobs: "token" },
  loss(policy, inputs) {
    const s = sum(policy.logprobs - inputs.logprobs, "tokens");
    let total: Expr = 0;
    for (let j = 0; j < 4; j++) total += of(pick(s, "sequences", j), s, j);
    return total;
  },
});
export const above = ranked("above", (at, s) => (at > s ? at - s : 0));
export const leap = ranked("leap", (at, s) => (at > s ? exp(at) : 0));
export const weighed = ranked("weighed", (at, s, j) => (at > s ? (j + 1) * (at - s) : 0));
export const whole = ranked("whole", (at, s) => floor(at - s + 1) * s);
`;

const LABELLED = defineLoss({ name: "labelled", inputs: { label: "sequence" }, loss: (policy) => policy.logprobs });

describe("lossc check", () => {
  test.each(["absolute", "sequences", "positive", "hinge", "gate", "signed", "same", "spread"])(
    "takes either side of a kink for right: %s",
    async (name) => {
      const root = folder({ "loss.ts": BENT });
      for (const seed of sampled(`seeds of ${name}`, 1, ["1", "2", "3"])) {
        await soundReport([`loss.ts#${name}`, "--seed", seed, "--device", "cpu"], root);
      }
    },
  );

  const losses = ["cross_entropy", "importance_sampling", "ppo", "cispo", "dro"];
  test.each(sampled("losses on every device", 2, losses))("finds %s right on every device", async (loss) => {
    const report = await result<Report>(["check", loss, "--json"]);
    expect(report).toMatchObject({ loss, outcome: "within tolerance", counts: { wrong: 0, atKink: 0, notFinite: 0 } });
    expect(report.counts.within).toBe(report.comparisons.length);
    expect(new Set(report.comparisons.map(({ device }) => device))).toEqual(new Set(["reference", "cpu", "emulated"]));
    for (const { error, outcome } of report.comparisons) expect([error <= 1, outcome]).toEqual([true, "within tolerance"]);
  });

  test("finds a coupled loss of the user's right, constants included", async () => {
    const root = folder({ "loss.ts": COUPLED });
    for (const config of ["{}", '{"beta": 3, "centred": false}']) {
      const report = await result<Report>(["check", "loss.ts#coupled", "--json", "--config", config], { cwd: root });
      expect(report.outcome).toBe("within tolerance");
    }
  });

  test("draws an input from where it is said to lie", async () => {
    const root = folder({
      "loss.ts": `
import { add, defineLoss, log, mul } from "lossc";
export const likely = defineLoss({
  name: "likely",
  inputs: { prob: "sequence", old_logprobs: "token" },
  loss: (policy, inputs) => mul(log(mul(inputs.prob, inputs.old_logprobs)), policy.logprobs),
});
`,
    });
    const checked = ["check", "loss.ts#likely", "--seed", "1", "--device", "cpu"];
    const unsaid = await failure(checked, { cwd: root });
    expect(unsaid.code).toBe("NON_FINITE");
    expect(unsaid.message).toContain("--range");
    const ranged = [...checked, "--json", "--range", "prob=0.1:0.9", "--range", "old_logprobs=0.5:2"];
    expect((await result<Report>(ranged, { cwd: root })).outcome).toBe("within tolerance");
    for (const [range, code, said] of [
      ["pro=0:1", "INPUT_UNKNOWN", "prob"],
      ["prob=0/", "USAGE", "label=0/1"],
      ["prob=0/x", "USAGE", "label=0/1"],
      ["prob=0:1:2", "USAGE", "prob=0.1:0.9"],
      ["=0:1", "INPUT_UNKNOWN", '""'],
      ["prob=1", "USAGE", "prob=0.1:0.9"],
      ["prob=2:1", "USAGE", "prob=0.1:0.9"],
    ] as const) {
      const found = await failure([...checked, "--range", range], { cwd: root });
      expect([found.code, found.exit]).toEqual([code, 2]);
      expect(found.message).toContain(said);
    }
  });

  test("draws an input that is only 0 or 1 as another number, or as one of them alone", async () => {
    const root = folder({
      "loss.loss.ts": `
import { defineLoss, log } from "lossc";
export const labelled = defineLoss({
  name: "labelled",
  inputs: { label: "sequence" },
  // Finite at 0 and at 1, and nowhere else.
  loss: (policy, { label }) => (label === 0 ? 2 * policy.logprobs : label === 1 ? policy.logprobs : log(policy.logprobs)),
});
`,
    });
    const checked = ["loss.loss.ts#labelled", "--seed", "1", "--device", "cpu"];
    expect((await failure(["check", ...checked], { cwd: root })).code).toBe("NON_FINITE");
    expect((await soundReport([...checked, "--range", "label=0/1"], root)).outcome).toBe("within tolerance");
    const alone = { least: 0, most: 0 };
    const labels = (range: Range) => randomBatch(LABELLED, 3, shapeOf(8), new Map([["label", range]])).inputs.label;
    expect(new Set(labels({ values: [0, 1] }) as number[])).toEqual(new Set([0, 1]));
    expect(new Set(labels(alone) as number[])).toEqual(new Set([0]));
  });

  test("does the same again for the same seed, and prints the seed", async () => {
    const first = await lossc(["check", "ppo", "--seed", "7", "--device", "cpu"]);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toContain("seed 7: everything is within tolerance");
    expect(await lossc(["check", "ppo", "--seed", "7", "--device", "cpu"])).toEqual(first);
    expect((await lossc(["check", "ppo", "--seed", "8", "--device", "cpu"])).stdout).not.toBe(first.stdout);
  });

  test("ends with 1 where something is wrong, and says what", async () => {
    // Not the same loss every time it is run: the devices do not run the one whose gradient was checked.
    const root = folder({
      "loss.ts": `import { defineLoss, mul } from "lossc";\nlet runs = 0;\nexport const fickle = defineLoss({ name: "fickle", loss: (policy) => mul(++runs, policy.logprobs) });\n`,
    });
    const { code, stdout, stderr } = await lossc(["check", "loss.ts#fickle", "--seed", "1", "--device", "cpu"], { cwd: root });
    expect([code, stderr]).toEqual([1, ""]);
    expect(stdout).toContain("NOT everything is within tolerance");
    expect(stdout).toMatch(/ok {5}random inputs +reference .*\n {2}WRONG {2}random inputs +cpu +/);
    const json = await lossc(["check", "loss.ts#fickle", "--json", "--device", "cpu"], { cwd: root });
    expect([json.code, (JSON.parse(json.stdout) as Report).outcome]).toEqual([1, "wrong"]);
  });

  test("tries what losses go wrong on, as far as the loss takes it", async () => {
    const cases = async (loss: string) => {
      const { comparisons, outcome } = await result<Report>(["check", loss, "--json", "--seed", "3", "--device", "cpu"]);
      expect(outcome).toBe("within tolerance");
      return [...new Set(comparisons.map((comparison) => comparison.case))];
    };
    const always = [
      "random inputs",
      "zero, fractional and negative weights",
      "logits of -inf",
      "sequences of length 0 and 1",
      "sequences wholly masked",
      "ties",
    ];
    expect((await cases("cross_entropy")).sort()).toEqual([...always].sort());
    expect((await cases("dpo")).sort()).toEqual([...always, "ratios at the clip bounds"].sort());
    expect((await cases("forward_kl")).sort()).toEqual([...always, "teacher_logits of -inf"].sort());
  });

  test("leaves out kinks, and says so", async () => {
    const { stdout } = await lossc(["check", "ppo", "--seed", "7", "--device", "cpu"]);
    expect(stdout).toMatch(
      /ratios at the clip bounds, finite differences: \d+ of 70 logits stand at a kink: no derivative to compare with/,
    );
  });

  test("calls a comparison that could not be made, since the loss is not finite there, within tolerance", async () => {
    const args = ["reverse_kl", "--seed", "1", "--device", "cpu"];
    const { comparisons, counts } = await soundReport(args);
    const notes = comparisons.filter((x) => x.case === "teacher_logits of -inf").map(({ device, note }) => [device, note]);
    expect(counts).toMatchObject({ wrong: 0, atKink: 0, notFinite: 3 });
    expect(notes).toContainEqual([
      "reference",
      expect.stringMatching(/^the loss or its gradient is not finite at token \d+, and cannot be$/),
    ]);
    expect(notes).toContainEqual(["cpu", expect.stringMatching(/so it is here$/)]);
    const { code, stdout } = await lossc(["check", ...args]);
    expect(code).toBe(3);
    const verdict =
      "nothing is wrong, but not everything could be compared: 25 within tolerance, 3 not comparable (3 not finite)";
    expect(stdout.split("\n")[0]).toBe(`reverse_kl, seed 1: ${verdict}`);
    expect(stdout).toMatch(/\n {2}not comparable {2}teacher_logits of -inf +cpu +loss with reference +– +not finite\n/);
  });

  test.each(["above", "leap", "weighed", "whole"])("calls either side of a tie of two sums wrong: %s", async (name) => {
    const root = folder({ "ranks.loss.ts": RANKS });
    for (const seed of ["1", "2"]) {
      const { comparisons } = await soundReport([`ranks.loss.ts#${name}`, "--seed", seed, "--device", "cpu"], root);
      const ties = comparisons.filter((x) => x.case === "ties");
      expect(ties.some(({ reason, leftOut }) => reason === "at a kink" && leftOut > 0)).toBe(true);
      for (const one of comparisons.filter((x) => x.case === "random inputs"))
        expect([one.leftOut, one.outcome]).toEqual([0, "within tolerance"]);
    }
  });

  test("answers mistakes as the other commands do", async () => {
    expect(await failure(["check", "pppo"])).toMatchObject({ code: "LOSS_UNKNOWN", exit: 2 });
    expect(await failure(["check", "dro", "--config", '{"bta": 1}'])).toMatchObject({ code: "CONFIG_UNKNOWN", exit: 2 });
    expect(await failure(["check", "dro", "--device", "tpu"])).toMatchObject({ code: "DEVICE_NOT_FOUND", exit: 2 });
  });
});
