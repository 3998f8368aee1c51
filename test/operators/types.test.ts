/** A `*.loss.ts` shows no errors in an editor: operators type-check, and so do the names of inputs and config. */
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FILE = `${ROOT}test/operators/fixtures/virtual.loss.ts`;

const SOURCE = `
import { defineLoss, exp, mean, type Expr, type LossFunction, where } from "lossc";

export const fine = defineLoss({
  name: "fine",
  inputs: { advantages: "token", reward: { space: "sequence", default: 0 } },
  config: { beta: 0.1, kind: "k3", deep: { value: 3, static: true }, sharp: true },
  loss(policy, inputs, config) {
    const x = policy.logprobs - inputs.advantages;
    let acc = exp(x);
    acc += x;
    acc **= 2;
    const helper = (y: Expr): Expr => (y > 0 ? y : -y) * config.beta;
    acc -= helper(x) + helper(acc * 2);
    for (let i = 0; i < config.deep; i++) acc *= Math.max(i, x, inputs.reward);
    const inside = x > 0 && !(acc === 1) && isFinite(x);
    const kind: string = config.kind;
    return { loss: config.sharp && kind === "k3" ? where(inside, acc, 0) : acc, metrics: { share: mean(x > 0), inside: mean(inside) } };
  },
});
const inputs = { advantages: "token" } as const;
export const outside = defineLoss({ name: "outside", inputs, loss: (policy, { advantages }) => -policy.logprobs * advantages });
export const bare: LossFunction = (policy) => -policy.logprobs;
export const nothing = defineLoss({ name: "nothing", loss: (policy) => -policy.logprobs });

defineLoss({ name: "a", inputs: { advantages: "token" }, loss: (_, inputs) => inputs.bogus });
defineLoss({ name: "b", config: { beta: 1 }, loss: (policy, _, config) => policy.logprobs * config.betta });
defineLoss({ name: "c", loss: (policy) => policy.logprob });
defineLoss({ name: "d", inputs: { advantages: "tokens" }, loss: (policy) => policy.logprobs });
defineLoss({ name: "e", config: { kind: "k1" }, loss: (policy, _, config) => policy.logprobs * config.kind });
`;

test("what is right passes tsc, strict and with exact optional properties, and what is wrong does not", () => {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ROOT);
  expect(options).toMatchObject({ strict: true, exactOptionalPropertyTypes: true });
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.getSourceFile = (name, version) =>
    name === FILE ? ts.createSourceFile(name, SOURCE, version) : getSourceFile(name, version);
  host.fileExists = (name) => name === FILE || fileExists(name);
  const program = ts.createProgram([FILE], { ...options, paths: { lossc: [`${ROOT}index.ts`] } }, host);
  const file = program.getSourceFile(FILE);
  const found = program.getSemanticDiagnostics(file).map(({ start = 0, messageText }) => [
    SOURCE.slice(0, start)
      .split("\n")
      .at(-1)
      ?.match(/name: "(.)"/)?.[1],
    ts.flattenDiagnosticMessageText(messageText, " "),
  ]);
  expect(found).toEqual([
    ["a", expect.stringContaining("'bogus' does not exist")],
    ["b", expect.stringContaining("'betta' does not exist")],
    ["c", expect.stringContaining("'logprob' does not exist")],
    ["d", expect.stringContaining('"tokens"')],
    ["e", expect.stringContaining("must be of type")],
  ]);
});
