/** The built package in processes of their own: `node --import lossc/register`, and the command line. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { CASE, type EvalResult, failure, folder, result } from "../cli/lossc.js";

const INDEX = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
const REGISTER = new URL("../../dist/runtime/register.js", import.meta.url).href;

/** Types, operators, and positions that must survive them. */
const PPO = `import { clamp, defineLoss, exp, min, type Expr } from "lossc";

interface Bounds { readonly low: Expr; readonly high: Expr }

const surrogate = (ratio: Expr, advantages: Expr, { low, high }: Bounds): Expr =>
  -min(ratio * advantages, clamp(ratio, low, high) * advantages);

export const mine = defineLoss({
  name: "mine",
  inputs: { logprobs: "token", advantages: "token" },
  config: { low: 0.8, high: 1.2 },
  loss(policy, inputs, config) {
    return surrogate(exp(policy.logprobs - inputs.logprobs), inputs.advantages, config);
  },
});

export const branching = defineLoss({
  name: "branching",
  loss(policy) {
    if (policy.logprobs > -1) return policy.logprobs;
    return 0;
  },
});
`;

const onReference = (...loss: string[]) => ["eval", ...loss, "--device", "reference"];

describe("the command line", () => {
  test("runs a loss with operators from a file outside of the project", async () => {
    const root = folder({
      "my.loss.ts": PPO,
      "plain.loss.js": PPO.replace(/: (Expr|Bounds)/g, "").replace(/interface.*|, type Expr/g, ""),
    });
    const builtin = await result<EvalResult>(onReference("ppo"), { stdin: CASE });
    for (const file of ["my.loss.ts", "plain.loss.js"]) {
      expect(await result<EvalResult>(onReference(`${join(root, file)}#mine`), { stdin: CASE })).toEqual(builtin);
    }
  });

  test("says where an expression met an if", async () => {
    const root = folder({ "my.loss.ts": PPO });
    const { code, message, exit } = await failure(onReference("my.loss.ts#branching"), {
      stdin: { ...CASE, inputs: {} },
      cwd: root,
    });
    expect([code, exit]).toEqual(["UNSUPPORTED_SYNTAX", 2]);
    expect(message).toContain("`if` met an expression of the loss");
    expect(message).toContain(`${join(root, "my.loss.ts")}:20:9\n`);
    expect(message).toContain("> 20 |     if (policy.logprobs > -1) return policy.logprobs;\n     |         ^");
  });
});

describe("node --import lossc/register", () => {
  function node(
    args: readonly string[],
    cwd: string,
  ): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
    return spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
  }

  const MAIN = `
import { openDevice } from "lossc";
import { mine, branching } from "./my.loss.ts";
import { mine as again } from "./my.loss.js";
await using device = await openDevice("reference");
const given = { lengths: [1], policy_logprobs: [-0.5], logprobs: [-0.7], advantages: [2] };
const { loss } = await (await device.compile(mine)).forwardBackward(given);
const position = await device.compile(branching).then(() => null, (error) => error.position);
console.log(JSON.stringify({ loss, position, once: mine === again }));
`.replace("await using", "const");

  test("rewrites the losses that a program imports", () => {
    const root = folder({ "my.loss.ts": PPO, "main.mjs": MAIN });
    const { stdout, stderr, status } = node(["--import", REGISTER, "main.mjs"], root);
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      loss: expect.closeTo(-1.2 * 2, 12),
      position: { file: join(root, "my.loss.ts"), line: 20, column: 9 },
      once: true,
    });
  });

  test("translates TypeScript that nobody else takes", () => {
    const root = folder({
      "my.loss.ts": PPO,
      "helper.ts": "export const name: string = `helped`;\n",
      "main.ts": `import { mine } from "./my.loss.js";\nimport { name } from "./helper.js";\nconsole.log(mine.name as string, name);\n`,
      "package.json": `{ "type": "module" }`,
    });
    const { stdout, stderr, status } = node(["--import", REGISTER, "main.ts"], root);
    expect(stderr).toBe("");
    expect([status, stdout]).toEqual([0, "mine helped\n"]);
  });

  test("without it, Node alone says why a *.loss.ts was not loaded", () => {
    const root = folder({
      "my.loss.ts": PPO,
      "main.mjs": `import ${JSON.stringify(INDEX)};\nawait import(process.argv[2]);\n`,
      "package.json": `{ "type": "module" }`,
    });
    for (const file of ["./my.loss.ts", "./my.loss.js"]) {
      const { stderr, status } = node(["main.mjs", file], root);
      expect(status).toBe(1);
      expect(stderr).toContain("node --import lossc/register");
    }
    expect(node(["main.mjs", "./other.js"], root).stderr).not.toContain("lossc/register");
  });

  test("without it, and without a build, a *.loss.* file refuses to define a loss", () => {
    const source = `import { defineLoss } from ${JSON.stringify(INDEX)};\nexport const x = defineLoss({ name: "x", loss: (policy) => policy.logprobs });\n`;
    const root = folder({
      "x.loss.mjs": source,
      "main.mjs": `import("./x.loss.mjs").catch((error) => console.log(JSON.stringify(error), error.message));`,
    });
    const { stdout } = node(["main.mjs"], root);
    expect(stdout).toContain('"code":"UNSUPPORTED_SYNTAX"');
    expect(stdout).toContain(`"position":{"file":${JSON.stringify(join(root, "x.loss.mjs"))},"line":2,"column":18}`);
    expect(stdout).toContain("node --import lossc/register");
  });
});
