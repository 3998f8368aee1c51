/** Losses in a user's files: outside of the project, without node_modules, beside any other files. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CASE, type EvalResult, failure, folder, PLAIN, result } from "./lossc.js";

const SQUARES = `
import { defineLoss, square, type LossDefinition } from "lossc";

interface Unused { readonly a: number }
enum Kind { Square = "squares" }

export const squares = defineLoss({ name: Kind.Square, loss: (policy) => square(policy.logprobs) });
`;

const onReference = (...loss: string[]) => ["eval", ...loss, "--device", "reference"];

describe("a loss in a file of the user's", () => {
  test("is found by an absolute path and by one relative to the working directory", async () => {
    const root = folder({ "losses/my loss #1.ts": SQUARES });
    const absolute = await result<EvalResult>(onReference(join(root, "losses/my loss #1.ts#squares")), { stdin: PLAIN });
    const relative = await result<EvalResult>(onReference("losses/my loss #1.ts#squares"), { stdin: PLAIN, cwd: root });
    expect(absolute).toEqual(relative);
    expect(absolute.loss).toBeCloseTo(
      absolute.logprobs.reduce((sum, l) => sum + l * l, 0),
      12,
    );
  });

  test("is an ES module under every package.json, plain JavaScript too", async () => {
    const js = `import { defineLoss, neg } from "lossc"; export default defineLoss({ name: "nll", loss: (policy) => neg(policy.logprobs) });`;
    const root = folder({ "package.json": `{ "type": "commonjs" }`, "a.ts": SQUARES, "b.mts": SQUARES, "c.js": js, "d.mjs": js });
    for (const file of ["a.ts#squares", "b.mts#squares", "c.js#default", "d.mjs#default"]) {
      expect(await result<EvalResult>(onReference(file), { stdin: PLAIN, cwd: root })).toHaveProperty("device", "reference");
    }
  });

  test("imports other files of the user's by every name that TypeScript's authors write", async () => {
    const root = folder({
      "loss.ts": `
import { defineLoss, mul } from "lossc";
import { two } from "./helpers/numbers.js";
import { three } from "./helpers/numbers.ts";
import { four } from "./helpers/more";
import { five } from "./helpers";
import { six } from "./plain.js";
export const scaled = defineLoss({ name: "scaled", loss: (policy) => mul(two * three * four * five * six, policy.logprobs) });
`,
      "helpers/numbers.ts": "export const two: number = 2;\nexport const three: number = 3;\n",
      "helpers/more.ts": "export const four: number = 4;\n",
      "helpers/index.ts": `export const five: number = 5;\nexport type { LossDefinition } from "lossc";\n`,
      "plain.js": "export const six = 6;\n",
    });
    const { loss, logprobs } = await result<EvalResult>(onReference(join(root, "loss.ts#scaled")), { stdin: PLAIN });
    expect(loss).toBeCloseTo(720 * logprobs.reduce((sum, l) => sum + l, 0), 9);
  });

  test("means the running lossc by `lossc`, also where another one is installed beside it", async () => {
    const root = folder({
      "loss.ts": SQUARES,
      "node_modules/lossc/package.json": `{ "name": "lossc", "type": "module", "exports": "./index.js" }`,
      "node_modules/lossc/index.js": `throw new Error("the wrong lossc");`,
    });
    expect(await result<EvalResult>(onReference("loss.ts#squares"), { stdin: PLAIN, cwd: root })).toHaveProperty("sweeps", 1);
  });

  test("may import packages that are installed beside it", async () => {
    const root = folder({
      "loss.ts": `import { defineLoss, mul } from "lossc";\nimport scale from "scale";\nexport const scaled = defineLoss({ name: "scaled", loss: (policy) => mul(scale, policy.logprobs) });\n`,
      "node_modules/scale/package.json": `{ "name": "scale", "main": "index.js" }`,
      "node_modules/scale/index.js": "module.exports = -2;\n",
    });
    const { loss, logprobs } = await result<EvalResult>(onReference("loss.ts#scaled"), { stdin: PLAIN, cwd: root });
    expect(loss).toBeCloseTo(-2 * logprobs.reduce((sum, l) => sum + l, 0), 12);
  });

  test("may print: results alone go to stdout", async () => {
    const root = folder({ "loss.ts": `console.log("hello");\n${SQUARES}` });
    const { stderr } = await failure(["eval", "loss.ts#squares", "--metrics", "nothing"], { stdin: PLAIN, cwd: root });
    expect(stderr).toContain("hello\n");
  });

  test("has a name that reaches neither text nor a command line unchecked", async () => {
    const root = folder({
      "loss.ts": `
import { defineLoss, exp, min, mul, neg, sub } from "lossc";
export const odd = defineLoss({
  name: 'x"; }\\n*/ #error $(touch pwned) \\u2028',
  inputs: { "a\\"; } */ ": "token", advantages: "token" },
  config: { "c\\"; } */": 2 },
  loss(policy, inputs, config) {
    return { loss: neg(mul(policy.logprobs, mul(inputs["a\\"; } */ "], config["c\\"; } */"]))), metrics: { '"; } */': 1 }, outputs: { "*/ }": policy.logprobs } };
  },
});`,
    });
    const stdin = { ...CASE, inputs: { 'a"; } */ ': [1, 2, 3], advantages: [0, 0, 0] } };
    for (const device of ["cpu", "emulated", "reference"]) {
      const out = await result<EvalResult>(["eval", "loss.ts#odd", "--device", device], { stdin, cwd: root });
      expect(out.device).toBe(device);
      expect(out.loss).toBeCloseTo(-2 * out.logprobs.reduce((sum, l, t) => sum + (t + 1) * l, 0), 4);
      expect(out.metrics['"; } */']).toBe(1);
      expect(out.outputs["*/ }"]).toHaveLength(3);
    }
  });
});

describe("what keeps a file from being loaded", () => {
  test("a missing file, export, or loss is LOSS_UNKNOWN with what there is", async () => {
    const root = folder({ "loss.ts": `${SQUARES}\nexport const number = 1;\n`, "none.ts": "export {};\n", "loss.txt": "" });
    const cases = [
      ["gone.ts#squares", "gone.ts"],
      ["loss.ts#square", 'did you mean "squares"?'],
      ["loss.ts#zzz", "the losses that it exports are squares"],
      ["loss.ts#number", "defineLoss"],
      ["loss.ts#toString", "no export"],
      ["loss.ts#", 'no export ""'],
      ["none.ts#x", "it exports no loss"],
      ["loss.txt#x", "no TypeScript or JavaScript"],
      ["loss.ts", "name its export"],
    ] as const;
    for (const [name, says] of cases) {
      const { code, message, exit } = await failure(onReference(name), { stdin: PLAIN, cwd: root });
      expect({ name, code, exit }).toEqual({ name, code: "LOSS_UNKNOWN", exit: 2 });
      expect(message).toContain(says);
    }
  });

  test("a mistake in the syntax has its place and a code frame, also in a file that is imported", async () => {
    const wrong = "type A = 1;\n\nexport const b: A = ;\n";
    const root = folder({
      "wrong.ts": wrong,
      "imports.ts": `import { b } from "./wrong.ts";\nexport const c = b;\n`,
      "plain.mjs": "const a = 1;\nexport const b = ;\n",
    });
    for (const file of ["wrong.ts", "imports.ts"]) {
      const { code, message, exit, stderr } = await failure(onReference(`${file}#b`), { stdin: PLAIN, cwd: root });
      expect([code, exit]).toEqual(["UNSUPPORTED_SYNTAX", 2]);
      expect(message).toContain("wrong.ts:3:21");
      expect(stderr).toContain("> 3 | export const b: A = ;\n    |                     ^");
    }
    const { code, message } = await failure(onReference("plain.mjs#b"), { stdin: PLAIN, cwd: root });
    expect(code).toBe("UNSUPPORTED_SYNTAX");
    expect(message).toContain("plain.mjs:2:18");
  });

  test("an error that the file throws is reported with its position", async () => {
    const root = folder({
      "throws.ts": `type A = 1;\ninterface B { readonly a: A }\nfunction boom(): never {\n  throw new TypeError("boom");\n}\nexport const b: B = boom();\n`,
      "name.ts": `import { defineLos } from "lossc";\nexport const b = defineLos;\n`,
      "case.loss.ts": `import { defineLoss,\n  logsoftmax } from "lossc";\nexport const b = defineLoss({ name: "b", loss: (policy) => logsoftmax(policy.logits) });\n`,
      "far.ts": `import { einsteinSummation } from "lossc";\nexport const b = einsteinSummation;\n`,
      "package.ts": `import x from "not-installed-here";\nexport const b = x;\n`,
      "object.ts": "throw { strange: true };\n",
    });
    const cases = [
      ["throws.ts#b", "TypeError: boom", "throws.ts:4:9"],
      ["name.ts#b", "'defineLos'; did you mean \"defineLoss\"?", "name.ts:1"],
      ["case.loss.ts#b", "'logsoftmax'; did you mean \"logSoftmax\"?", "case.loss.ts:2"],
      ["far.ts#b", "'einsteinSummation'; docs/language.md lists what lossc has", "far.ts:1"],
      ["package.ts#b", "not-installed-here", "package.ts"],
      ["object.ts#b", "strange", "object.ts"],
    ] as const;
    for (const [name, ...says] of cases) {
      const { code, exit, message } = await failure(onReference(name), { stdin: PLAIN, cwd: root });
      expect({ name, code, exit }).toEqual({ name, code: "LOSS_UNKNOWN", exit: 2 });
      for (const text of says) expect(message).toContain(text);
    }
  });
});

describe("a definition with a mistake", () => {
  const FILE = `import { defineLoss } from "lossc";
export const good = defineLoss({ name: "good", loss: (policy) => -policy.logprobs });
export const bad = defineLoss({ name: "bad", inputs: { advantages: "tokens" as "token" }, loss: (policy) => policy.logprobs });
export const { name } = good;
export const composed = defineLoss({ name: "composed", loss: (policy, inputs, config) => bad.loss(policy, inputs as never, config) as number });
`;

  test("hides the other losses of its file, or is not shown where it is asked for", async () => {
    const root = folder({ "my.loss.ts": FILE });
    expect(await result<EvalResult>(onReference("my.loss.ts#good"), { stdin: PLAIN, cwd: root })).toHaveProperty("sweeps", 1);
    for (const asked of ["bad", "composed"]) {
      const { code, exit, message } = await failure(onReference(`my.loss.ts#${asked}`), { stdin: PLAIN, cwd: root });
      expect([code, exit]).toEqual(["SPACE_MISMATCH", 2]);
      expect(message).toContain('"advantages" is declared in "tokens"; did you mean "token"?');
      expect(message).toContain("my.loss.ts:3:20\n");
      expect(message).toMatch(/^> 3 \| export const bad/m);
    }
    const unknown = await failure(onReference("my.loss.ts#gone"), { stdin: PLAIN, cwd: root });
    expect(unknown.message).toContain("the losses that it exports are composed, good; the definition of bad has a mistake");
    expect(await failure(["build", "my.loss.ts", "--out", "out"], { cwd: root })).toMatchObject({
      code: "SPACE_MISMATCH",
      exit: 2,
    });
  });

  test("lets other mistakes of the file pass", async () => {
    const root = folder({ "my.loss.ts": `${FILE}\nexport const spread = { ...bad };\n` });
    const { code } = await failure(onReference("my.loss.ts#good"), { stdin: PLAIN, cwd: root });
    expect(code).toBe("SPACE_MISMATCH");
  });
});

describe("a mistake inside the loss", () => {
  test("a native operator is OPERATOR_ON_EXPR with the user's line, column and code", async () => {
    const root = folder({
      "us er #2.ts": `
import { defineLoss } from "lossc";

interface Long {
  readonly erased: string;
}
export const bad = defineLoss({
  name: "bad",
  loss(policy) {
    return policy.logprobs * policy.logprobs;
  },
});
`,
    });
    const { code, exit, stderr } = await failure(onReference("us er #2.ts#bad"), { stdin: PLAIN, cwd: root });
    expect([code, exit]).toEqual(["OPERATOR_ON_EXPR", 2]);
    expect(stderr).toContain(`${join(root, "us er #2.ts")}:10:`);
    expect(stderr).toContain("> 10 |     return policy.logprobs * policy.logprobs;");
  });

  test("what the loss itself throws is the user's mistake, not a fault of lossc's", async () => {
    const root = folder({
      "loss.ts": `import { defineLoss } from "lossc";\nexport const bad = defineLoss({\n  name: "bad",\n  loss(policy) {\n    return (undefined as unknown as { x: number }).x;\n  },\n});\n`,
    });
    const { exit, message, stderr } = await failure(onReference("loss.ts#bad"), { stdin: PLAIN, cwd: root });
    expect(exit).toBe(2);
    expect(message).toContain("TypeError");
    expect(stderr).toContain("loss.ts:5:");
  });

  test("spaces that do not meet are SPACE_MISMATCH, undeclared inputs and config are named", async () => {
    const file = (body: string) =>
      `import { defineLoss, mul, sum } from "lossc";\nexport const bad = defineLoss({ name: "bad", inputs: { advantages: "token" }, config: { beta: 1 },\n  loss: (policy, inputs: any, config: any) => ${body},\n});\n`;
    const root = folder({
      "space.ts": file(`sum(policy.logprobs, "sequences")`),
      "input.ts": file("mul(policy.logprobs, inputs.advantage)"),
      "config.ts": file("mul(policy.logprobs, config.bta)"),
      "metric.ts": file("({ loss: policy.logprobs, metrics: { m: policy.logprobs } })"),
      "nothing.ts": file("undefined as any"),
    });
    const codes = {
      space: "SPACE_MISMATCH",
      input: "INPUT_UNKNOWN",
      config: "CONFIG_UNKNOWN",
      metric: "SPACE_MISMATCH",
      nothing: "UNSUPPORTED_SYNTAX",
    };
    for (const [name, wanted] of Object.entries(codes)) {
      const { code, exit } = await failure(onReference(`${name}.ts#bad`), {
        stdin: { ...PLAIN, inputs: { advantages: [1, 1, 1] } },
        cwd: root,
      });
      expect({ name, code, exit }).toEqual({ name, code: wanted, exit: 2 });
    }
  });
});
