/** Names that objects inherit, and names that no terminal shows, on the command line. */
import { expect, test } from "vitest";
import { CASE, type EvalResult, failure, folder, lossc, result } from "./lossc.js";

const ODD = `import { add, defineLoss, mean, mul } from "lossc";
const NUL = "nul\\0\\n*/";
export default defineLoss({
  name: "*/ odd\\n\\0\\u202e",
  inputs: { ["__proto__"]: "token", [NUL]: "token", toString: { space: "sequence", default: 1 } },
  config: { ["__proto__"]: 2, constructor: { value: 3, static: true } },
  loss(policy, inputs, config) {
    const factor = mul(mul(inputs["__proto__"], inputs[NUL]), mul(config["__proto__"], config.constructor));
    const loss = mul(mul(policy.logprobs, factor), inputs.toString);
    return { loss, metrics: { ["__proto__"]: mean(factor), [NUL]: () => mean(factor) }, outputs: { ["__proto__"]: mul(policy.logprobs, 0) } };
  },
});
`;

/** As JSON has it: a text, for an object would set its prototype. */
const inputs = String.raw`{"__proto__":[1,2,3],"nul\u0000\n*/":[1,1,1],"toString":[1,2]}`;
const stdin = `${JSON.stringify({ ...CASE, inputs: null }).slice(0, -"null}".length)}${inputs}}`;
const CONFIG = '{"__proto__":5,"constructor":7}';
const loss = () => `${folder({ "odd.mjs": ODD })}/odd.mjs#default`;

test("lossc eval keeps what is called __proto__, in --config, on stdin and in its result", async () => {
  const file = loss();
  const eval_ = (...options: string[]) => result<EvalResult>(["eval", file, "--device", "reference", ...options], { stdin });
  const [out, other] = [await eval_("--config", CONFIG), await eval_()];
  const logprobs = out.logprobs as [number, number, number];
  const sum = logprobs[0] + 2 * logprobs[1] + 2 * 3 * logprobs[2];
  expect(out.loss).toBeCloseTo(35 * sum, 10);
  expect(other.loss).toBeCloseTo(6 * sum, 10);
  expect(Object.entries(out.metrics)).toEqual([
    ["loss:sum", out.loss],
    ["__proto__", 70],
  ]);
  expect(Object.keys(out.outputs)).toEqual(["__proto__"]);
  const cases = `[{"loss":${JSON.stringify(file)},"config":${CONFIG},"case":${stdin}}]`;
  expect(await result(["eval", "--cases", "--device", "reference"], { stdin: cases })).toEqual([out]);
});

test("lossc emit, explain and check show no control character of a name", async () => {
  const file = loss();
  const runs = [["emit"], ["explain"], ["check", "--device", "reference"]];
  for (const [command, ...options] of runs as [string, ...string[]][]) {
    const run = await lossc([command, file, ...options]);
    expect([command, run.code, run.stderr]).toEqual([command, 0, ""]);
    expect(run.stdout).not.toMatch(/(?![\n\t])[\p{Cc}\p{Bidi_Control}]/u);
    if (command === "explain") expect(run.stdout).toContain("*/ odd\\u000a\\u0000\\u202e\n");
  }
  const { stderr } = await failure(["eval", file, "--config", '{"a\\u001b[2J":1}'], { stdin });
  expect(stderr).toContain('has no config "a\\u001b[2J"');
});
