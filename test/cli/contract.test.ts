/** Stdout and the exit code stay right when a user's file tampers with the process. */
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type EvalResult, failure, folder, lossc, MAIN, PLAIN, result } from "./lossc.js";

const LOSS = 'export const a = defineLoss({ name: "a", loss: (policy) => neg(policy.logprobs) });';
const IMPORT = 'import { defineLoss, neg, LosscError } from "lossc";';
/** A file whose loss is fine, but for what it does beside. */
const file = (...lines: string[]) => [IMPORT, ...lines, LOSS].join("\n");
/** A file whose loss does something while it is traced. */
const inLoss = (line: string) =>
  `${IMPORT}\nexport const a = defineLoss({ name: "a", loss(policy) { ${line}; return neg(policy.logprobs); } });`;

const EVAL = ["eval", "a.js#a", "--device", "reference"];

describe("lossc eval fails with one line and exit code 2 where the file", () => {
  test.each<[what: string, text: string, code: string, says: RegExp]>([
    [
      "awaits at its top level what never comes",
      file("await new Promise(() => {});"),
      "LOSS_UNKNOWN",
      /a\.js could not be loaded: it awaits/,
    ],
    ["calls process.exit()", file("process.exit();"), "LOSS_UNKNOWN", /process\.exit\(\) was called .*\n {2}at .*a\.js:2:9\n/],
    ["calls process.exit(0) in its loss", inLoss("process.exit(0)"), "LOSS_UNKNOWN", /process\.exit\(0\) was called/],
    [
      "calls the exit that it imports",
      file('import { exit } from "node:process";', "exit(3);"),
      "LOSS_UNKNOWN",
      /process\.exit\(3\)/,
    ],
    [
      "leaves a rejection to nobody",
      file('Promise.reject(new Error("soon"));'),
      "LOSS_UNKNOWN",
      /nothing caught: Error: soon\n {2}at .*a\.js:2:16/,
    ],
    [
      "throws in a timer",
      file('setTimeout(() => { throw new TypeError("late"); });', "await new Promise((go) => setTimeout(go, 50));"),
      "LOSS_UNKNOWN",
      /nothing caught: TypeError: late/,
    ],
    [
      "calls process.exit() in a timer",
      file("setTimeout(() => process.exit(0));", "await new Promise((go) => setTimeout(go, 50));"),
      "LOSS_UNKNOWN",
      /process\.exit\(0\) was called/,
    ],
    [
      "ends the process on an error of its own",
      file(
        'process.on("uncaughtException", () => process.exit(1));',
        'setTimeout(() => { throw new Error("x"); });',
        "await new Promise((go) => setTimeout(go, 50));",
      ),
      "LOSS_UNKNOWN",
      /process\.exit\(1\) was called/,
    ],
    [
      "throws what has no text",
      file("throw { toJSON() { throw 1; } };"),
      "LOSS_UNKNOWN",
      /could not be loaded: something that cannot be written/,
    ],
    [
      "throws what looks like an error of lossc",
      file('throw Object.assign(new Error("x"), { name: "LosscError" });'),
      "LOSS_UNKNOWN",
      /could not be loaded: LosscError: x/,
    ],
    [
      "throws what has no text in its loss",
      inLoss("throw { toJSON() { throw 1; } }"),
      "UNSUPPORTED_SYNTAX",
      /threw while it was traced: something/,
    ],
    ["sets the exit code before it throws", file("process.exitCode = 7;", 'throw new Error("x");'), "LOSS_UNKNOWN", /Error: x/],
  ])("%s", async (_, text, code, says) => {
    const got = await failure(EVAL, { stdin: PLAIN, cwd: folder({ "a.js": text }) });
    expect([got.code, got.exit]).toEqual([code, 2]);
    expect(got.message).toMatch(says);
  });
});

describe("lossc eval gives its result and exit code 0 where the file", () => {
  test.each<[what: string, text: string, stderr: string | RegExp]>([
    ["sets the exit code", file("process.exitCode = 7;"), ""],
    ["sets the exit code at the end", file('process.on("exit", () => { process.exitCode = 7; });'), ""],
    ["throws at the end", file('process.on("exit", () => { throw new Error("at the end"); });'), /Error: at the end/],
    ["leaves a timer open", file("setInterval(() => {}, 1000);"), ""],
    ["leaves a server open", file('import { createServer } from "node:net";', "createServer().listen(0);"), ""],
    ["writes to stdout", file('process.stdout.write("a\\n");', 'console.log("b");'), "a\nb\n"],
    [
      "writes to the stdout that it imports",
      file('import { stdout } from "node:process";', 'import { log } from "node:console";', 'stdout.write("a\\n");', 'log("b");'),
      "a\nb\n",
    ],
    ["writes to stdout in its loss", inLoss('process.stdout.write("a\\n")'), "a\n"],
    ["catches the rest itself", file('process.on("uncaughtException", () => {});', 'Promise.reject(new Error("x"));'), ""],
  ])("%s", async (_, text, stderr) => {
    const run = await lossc(EVAL, { stdin: PLAIN, cwd: folder({ "a.js": text }) });
    if (typeof stderr === "string") expect(run.stderr).toBe(stderr);
    else expect(run.stderr).toMatch(stderr);
    expect(run.code).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({ device: "reference", sweeps: 1 });
  });
});

test("other cases have their results where a file awaits for ever, ends the process or leaves an error to nobody", async () => {
  const cwd = folder({
    "stalled.js": file("await new Promise(() => {});"),
    "exits.js": inLoss("process.exit(0)"),
    "rejects.js": file('Promise.reject(new Error("soon"));', "setInterval(() => {}, 1000);"),
    "a.js": file("process.exitCode = 7;"),
  });
  const losses = ["cross_entropy", "stalled.js#a", "exits.js#a", "rejects.js#a", "a.js#a"];
  const run = await lossc(["eval", "--cases", "--device", "cpu"], { stdin: losses.map((loss) => ({ loss, case: PLAIN })), cwd });
  const out = JSON.parse(run.stdout) as (EvalResult & { error?: { message: string } })[];
  const wanted = [/^cpu$/, /awaits at its top level/, /process\.exit\(0\)/, /nothing caught: Error: soon/, /^cpu$/];
  for (const [i, pattern] of wanted.entries()) expect(out[i]?.error?.message ?? out[i]?.device).toMatch(pattern);
  expect([run.code, run.stderr]).toEqual([0, ""]);
});

test.each([
  ["emit", "a.js#a", "--target", "cpu"],
  ["explain", "a.js#a"],
  ["check", "a.js#a", "--device", "reference"],
  ["build", "a.js", "--out", "out", "--target", "cpu"],
])("lossc %s fails with one line and exit code 2 where its file ends the process", async (...args) => {
  const cwd = folder({ "a.js": inLoss("process.exit(0)") });
  expect(await failure(args, { cwd })).toMatchObject({ code: "LOSS_UNKNOWN", exit: 2 });
});

test("lossc check prints nothing of what its file writes, and ends with a timer open", async () => {
  const cwd = folder({
    "a.js": file('process.stdout.write("noise\\n");', "process.exitCode = 7;", "setInterval(() => {}, 1000);"),
  });
  const run = await lossc(["check", "a.js#a", "--device", "reference"], { cwd });
  expect([run.code, run.stderr]).toEqual([0, "noise\n"]);
  expect(run.stdout).not.toContain("noise");
});

/** Runs `lossc` in a shell, whose redirections and pipes the command line then meets. */
function shell(
  script: string,
  stdin: unknown,
  cwd = folder({}),
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn("bash", ["-c", script, process.execPath, MAIN], { cwd });
    const [out, err]: Buffer[][] = [[], []];
    child.stdout.on("data", (piece: Buffer) => out?.push(piece));
    child.stderr.on("data", (piece: Buffer) => err?.push(piece));
    child.on("close", (code) => {
      const text = (pieces: Buffer[] = []) => Buffer.concat(pieces).toString();
      resolve({ code, stdout: text(out), stderr: text(err) });
    });
    child.stdin.end(JSON.stringify(stdin));
  });
}

describe("stdout", () => {
  const [tokens, vocab] = [16, 8192];
  const logits = Array.from({ length: tokens * vocab }, (_, i) => (i % 97) / 16);
  const large = { lengths: [tokens], vocab, logits, target_tokens: Array(tokens).fill(5) };

  test("is whole where its reader is slow and a timer is open", async () => {
    const cwd = folder({ "a.js": file("setInterval(() => {}, 1000);") });
    const run = await shell('"$0" "$1" eval a.js#a --device cpu | (sleep 1; cat)', large, cwd);
    expect(run.stderr).toBe("");
    expect((JSON.parse(run.stdout) as EvalResult).grad_logits).toHaveLength(tokens * vocab);
  });

  test("holds the whole result, and stderr what went wrong, where a file fails while the result is written", async () => {
    const text =
      'import { existsSync } from "node:fs";\nsetInterval(() => { if (existsSync("now")) throw new Error("late"); }, 10);';
    const cwd = folder({ "a.js": file(text) });
    const run = await shell(
      'set -o pipefail; "$0" "$1" eval a.js#a --device cpu | (head -c 1; touch now; sleep 0.5; cat)',
      large,
      cwd,
    );
    expect(run.code).toBe(0);
    expect((JSON.parse(run.stdout) as EvalResult).grad_logits).toHaveLength(tokens * vocab);
    expect(run.stderr).toMatch(/^lossc: LOSS_UNKNOWN: .*nothing caught: Error: late/);
  });

  test("that nobody reads any more ends the command quietly", async () => {
    const run = await shell('set -o pipefail; "$0" "$1" eval cross_entropy --device cpu | head -c 10', large);
    expect(run).toMatchObject({ code: 0, stderr: "" });
  });

  test.skipIf(process.platform !== "linux")("on a full disk is USAGE on stderr, exit code 2", async () => {
    openSync("/dev/full", "r+");
    const run = await shell('"$0" "$1" eval cross_entropy --device cpu > /dev/full', large);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/^lossc: USAGE: stdout cannot be written: ENOSPC/);
  });

  test("and stderr closed from the start end no command", async () => {
    expect((await shell('"$0" "$1" eval poo 2>&-', PLAIN)).code).toBe(2);
  });
});

describe("text before JSON", () => {
  const JSON_TEXT = JSON.stringify(PLAIN);

  test("a byte-order mark on stdin and before --config is skipped", async () => {
    await result(["eval", "dft", "--device", "reference"], { stdin: `\uFEFF${JSON_TEXT}` });
    const stdin = JSON.stringify({ ...PLAIN, inputs: { logprobs: [-1, -1, -1], advantages: [1, 1, 1] } });
    await result(["eval", "dro", "--device", "reference", "--config", '\uFEFF{"beta": 1}'], { stdin });
  });

  test("a byte-order mark and nothing else is an empty stdin", async () => {
    expect((await failure(["eval", "ppo"], { stdin: "\uFEFF \n" })).message).toContain("stdin is empty");
  });

  test.each<[string, (text: string) => Buffer]>([
    ["UTF-16", (text) => Buffer.from(`\uFEFF${text}`, "utf16le")],
    ["UTF-16 of big-endian bytes", (text) => Buffer.from(`\uFEFF${text}`, "utf16le").swap16()],
    ["UTF-16 without a mark", (text) => Buffer.from(text, "utf16le")],
  ])("%s is USAGE, and named", async (_, encode) => {
    const got = await failure(["eval", "ppo", "--device", "reference"], { stdin: encode(JSON_TEXT) });
    expect([got.code, got.exit]).toEqual(["USAGE", 2]);
    expect(got.message).toContain("stdin is UTF-16");
  });

  test("a file with a byte-order mark is loaded and built", async () => {
    const cwd = folder({
      "a.loss.ts": `\uFEFFimport { defineLoss } from "lossc";\nexport const a = defineLoss({ name: "a", loss: (p) => -p.logprobs });\n`,
    });
    await result(["eval", "a.loss.ts#a", "--device", "reference"], { stdin: PLAIN, cwd });
    expect(await lossc(["build", "a.loss.ts", "--out", "out", "--target", "cpu", "--dtype", "f32"], { cwd })).toMatchObject({
      code: 0,
    });
    await result(["eval", "out/a.js#a", "--device", "reference"], { stdin: PLAIN, cwd });
  });
});
