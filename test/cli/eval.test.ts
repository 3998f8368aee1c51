/** `lossc eval` as other programs call it. */
import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { CASE, type EvalResult, failure, folder, lossc, MAIN, PLAIN, result } from "./lossc.js";

const DEVICES = ["cpu", "emulated", "reference"] as const;

describe("lossc eval", () => {
  test.each(DEVICES)("prints value and gradient on %s, keys in order", async (device) => {
    const run = await lossc(["eval", "cross_entropy", "--device", device], { stdin: PLAIN });
    expect(run.stderr).toBe("");
    expect(run.stdout.split("\n")).toHaveLength(2);
    const out = JSON.parse(run.stdout) as EvalResult;
    expect(Object.keys(out)).toEqual(["device", "sweeps", "loss", "logprobs", "grad_logits", "metrics", "outputs"]);
    const p = (z: number[]) => z.map((x) => Math.exp(x) / z.reduce((sum, y) => sum + Math.exp(y), 0));
    const rows = [p([1, 2, 3]), p([0, 0, 0]), p([-1, 0.5, 2])];
    const logprobs = rows.map((row, t) => Math.log(row[PLAIN.target_tokens[t] as number] as number));
    expect(out).toMatchObject({ device, sweeps: 1, outputs: {} });
    const close = (actual: number[], wanted: number[]) => {
      for (const [i, x] of wanted.entries()) expect(actual[i]).toBeCloseTo(x, 5);
      expect(actual).toHaveLength(wanted.length);
    };
    close(out.logprobs, logprobs);
    close([out.loss, out.metrics["loss:sum"] as number], Array(2).fill(-logprobs.reduce((sum, l) => sum + l)));
    close(
      out.grad_logits as number[],
      rows.flatMap((row, t) => row.map((x, v) => x - (v === PLAIN.target_tokens[t] ? 1 : 0))),
    );
  });

  test("takes policy_logprobs in place of logits", async () => {
    const stdin = { lengths: [1, 2], policy_logprobs: [-1, -2, -3], inputs: { weights: [1, 2, 0] } };
    const out = await result<EvalResult>(["eval", "cross_entropy", "--device", "reference"], { stdin });
    expect(Object.keys(out)).toEqual(["device", "sweeps", "loss", "logprobs", "grad_logprobs", "metrics", "outputs"]);
    expect(out).toMatchObject({ sweeps: 0, loss: 5, logprobs: [-1, -2, -3], grad_logprobs: [-1, -2, 0] });
  });

  test("reads and writes numbers that JSON cannot hold as words", async () => {
    const stdin = {
      lengths: [2],
      vocab: 3,
      logits: [1, "-Infinity", 1, "-Infinity", 0, "NaN"],
      target_tokens: [0, 0],
      inputs: { weights: [1, 0] },
    };
    for (const device of DEVICES) {
      const out = await result<EvalResult>(["eval", "cross_entropy", "--device", device], { stdin });
      expect(out.loss).toBeCloseTo(Math.LN2, 6);
      expect(out.logprobs[1]).toBe("NaN");
      expect(out.grad_logits).toEqual([-0.5, 0, 0.5, 0, 0, 0]);
    }
  });

  test("without a device runs where openDevice() would", async () => {
    expect((await result<EvalResult>(["eval", "cross_entropy"], { stdin: PLAIN })).device).toMatch(/^(cpu|cuda:0)$/);
  });

  test("takes configuration, and groups that the loss does not use", async () => {
    const stdin = { ...CASE, groups: [2] };
    const wide = await result<EvalResult>(["eval", "dro", "--device", "reference", "--config", '{"beta": 1}'], { stdin });
    const none = await result<EvalResult>(["eval", "dro", "--device", "reference", "--config", '{"beta": 0}'], { stdin });
    const half = 0.5 * none.logprobs.reduce((sum, l, t) => sum + (l - (CASE.inputs.logprobs[t] as number)) ** 2, 0);
    expect(wide.loss - none.loss).toBeCloseTo(half, 10);
  });

  test("runs an empty batch, whose loss is 0", async () => {
    for (const lengths of [[], [0, 0]]) {
      const out = await result<EvalResult>(["eval", "ppo", "--device", "cpu"], {
        stdin: { lengths, vocab: 4, logits: [], target_tokens: [], inputs: { logprobs: [], advantages: [] } },
      });
      expect(out).toMatchObject({ loss: 0, logprobs: [], grad_logits: [] });
    }
  });

  test("prints the metrics that are asked for", async () => {
    const root = folder({
      "loss.ts": `import { defineLoss, exp, mean, neg } from "lossc";
export const nll = defineLoss({ name: "nll", loss: (policy) => ({ loss: neg(policy.logprobs), metrics: { likelihood: mean(exp(policy.logprobs)), "nll:mean": mean(neg(policy.logprobs)) } }) });`,
    });
    const run = (...metrics: string[]) =>
      result<EvalResult>(["eval", "loss.ts#nll", "--device", "cpu", ...metrics], { stdin: PLAIN, cwd: root });
    expect(Object.keys((await run()).metrics)).toEqual(["loss:sum", "likelihood", "nll:mean"]);
    expect(Object.keys((await run("--metrics", "nll:mean")).metrics)).toEqual(["loss:sum", "nll:mean"]);
    expect(Object.keys((await run("--metrics", "likelihood,nll:mean")).metrics)).toEqual(["loss:sum", "likelihood", "nll:mean"]);
    const { code, message } = await failure(["eval", "loss.ts#nll", "--metrics", "likelyhood"], { stdin: PLAIN, cwd: root });
    expect(code).toBe("USAGE");
    expect(message).toContain('did you mean "likelihood"?');
  });

  test("takes tens of megabytes in and out, and ends quietly where nobody reads", async () => {
    const [tokens, vocab] = [64, 32768];
    const logits = Array.from({ length: tokens * vocab }, (_, i) => (i % 97) / 16);
    const stdin = JSON.stringify({ lengths: [tokens], vocab, logits, target_tokens: Array(tokens).fill(5) });
    const out = await result<EvalResult>(["eval", "cross_entropy", "--device", "cpu"], { stdin });
    expect(out.grad_logits).toHaveLength(tokens * vocab);
    const child = spawn("sh", ["-c", `"$0" "$1" eval cross_entropy --device cpu | head -c 100`, process.execPath, MAIN], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (piece: Buffer) => {
      said += piece.toString();
    });
    child.stdout.resume();
    child.stdin.end(stdin);
    await new Promise((resolve) => child.on("close", resolve));
    expect(said).toBe("");
  });
});

describe("lossc eval --cases", () => {
  test("gives results in order, and an error in the place of each case that failed", async () => {
    const root = folder({
      "loss.ts": `import { defineLoss, square } from "lossc";\nexport const squares = defineLoss({ name: "squares", loss: (policy) => square(policy.logprobs) });`,
    });
    const entries = [
      { loss: "ppo", config: { clip_low_threshold: 0.9 }, case: CASE },
      { loss: "pop", case: CASE },
      { loss: "ppo", config: { clip_low_treshold: 0.9 }, case: CASE },
      { loss: "ppo", config: { clip_low_threshold: "0.9" }, case: CASE },
      { loss: "ppo", case: { ...CASE, target_tokens: [2, 3, 1] } },
      { loss: "ppo", case: { ...CASE, target_tokens: [2, 0.5, 1] } },
      { loss: "loss.ts#squares", case: PLAIN, name: "what a caller adds is left alone" },
      { case: PLAIN },
      { loss: "cross_entropy" },
      null,
      { loss: "cross_entropy", config: {}, case: PLAIN },
    ];
    for (const device of DEVICES) {
      const out = await result<(EvalResult & { error?: { code: string; message: string } })[]>(
        ["eval", "--cases", "--device", device],
        { stdin: entries, cwd: root },
      );
      const wanted = [
        device,
        "LOSS_UNKNOWN",
        "CONFIG_UNKNOWN",
        "CONFIG_INVALID",
        "TARGET_OUT_OF_RANGE",
        "INPUT_DTYPE",
        device,
        "USAGE",
        "USAGE",
        "USAGE",
        device,
      ];
      expect(out.map((item) => item.error?.code ?? item.device)).toEqual(wanted);
      expect(out[0]?.grad_logits).toHaveLength(9);
    }
  });

  test("takes loss and configuration of the command line for cases that name none, and no case at all", async () => {
    const out = await result<EvalResult[]>(["eval", "dro", "--config", '{"beta": 0}', "--cases", "--device", "reference"], {
      stdin: [{ case: CASE }, { case: CASE, config: { beta: 1 } }],
    });
    expect(out[0]?.loss).not.toBe(out[1]?.loss);
    expect(await result<unknown[]>(["eval", "--cases", "--device", "reference"], { stdin: [] })).toEqual([]);
  });
});

describe("the command line", () => {
  test("says its version, and has help for every command", async () => {
    const { version } = JSON.parse(
      (await promisify(execFile)("node", ["-p", "JSON.stringify(require('./package.json'))"])).stdout,
    ) as { version: string };
    expect(await lossc(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
    const all = await lossc(["--help"]);
    for (const command of ["devices", "emit", "eval", "check"]) {
      expect(all.stdout).toContain(`  ${command} `);
      const run = await lossc([command, "--help"]);
      expect(run).toMatchObject({ code: 0, stderr: "" });
      expect(run.stdout).toContain(`Usage: lossc ${command}`);
      expect(await lossc(["help", command])).toEqual(run);
    }
  });

  test("loads TypeScript's compiler for a user's file, not for a loss that ships with lossc", async () => {
    const root = folder({
      "loaded.cjs": `process.on("exit", () => process.stderr.write(Object.keys(require.cache).some((path) => path.includes("ts-morph")) ? "with" : "without"));`,
      "loss.js": `import { defineLoss, neg } from "lossc";\nexport const nll = defineLoss({ name: "nll", loss: (policy) => neg(policy.logprobs) });`,
    });
    for (const loss of ["cross_entropy", `${root}/loss.js#nll`]) {
      const run = await lossc(["eval", loss, "--device", "reference"], {
        stdin: PLAIN,
        env: { NODE_OPTIONS: `--require ${root}/loaded.cjs` },
      });
      expect(run).toMatchObject({ code: 0, stderr: "without" });
    }
  });
});
