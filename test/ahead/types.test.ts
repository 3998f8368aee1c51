/** In an editor, inputs and config of a built loss are checked: TypeScript, strict, on what `lossc build` wrote. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { beforeAll, expect, test } from "vitest";
import { dpo, forward_kl, ppo } from "../../losses/index.js";
import { lossType } from "../../runtime/ahead/declarations.js";
import { build, project } from "./support.js";

const SOURCE = fileURLToPath(new URL("../../", import.meta.url));
const USE = `import { openDevice, type LossDefinition } from "lossc";
import { mine } from "./dist/mine.js";
import { scaled } from "./dist/terms.loss.js";
const device = await openDevice("cpu");
const compiled = await device.compile(mine, { config: { high: 2 } });
const batch = { lengths: [1], logits: new Float32Array(3), target_tokens: [0] };
const full = { ...batch, logprobs: [0], advantages: [0], temperature: 1 };
const { loss } = await compiled.forwardBackward(full, { high: 1.1, sharp: false }, { inPlace: true });
const definition: LossDefinition = mine;
export const fine = [loss.toFixed(), definition.name, scaled];
await compiled.forwardBackward({ ...full, reward: [1], weights: [1] });
await compiled.forwardBackward({ lengths: [1], policy_logprobs: [0], logprobs: [0], advantages: [0], temperature: 1 });

await compiled.forwardBackward({ ...batch, logprobs: [0], temperature: 1 }); // missing
await compiled.forwardBackward({ ...full, advantage: [0] }); // misspelt input
await compiled.forwardBackward(full, { hihg: 1.1 }); // misspelt config
await compiled.forwardBackward(full, { sharp: 1 }); // config of another type
await compiled.forwardBackward({ ...full, temperature: [1] }); // a batch input is a number
await compiled.forwardBackward({ lengths: [1], logprobs: [0], advantages: [0], temperature: 1 }); // no rows
await device.compile(mine, { config: { hihg: 1 } }); // misspelt constant
`;

const root = project();

beforeAll(async () => {
  const { stderr, code } = await build(root, ["--target", "cpu", "--dtype", "f32", "--vocab", "3"]);
  expect([stderr, code]).toEqual(["", 0]);
});

test("what is right passes tsc, and what is wrong is named where it stands", () => {
  const file = join(root, "use.ts");
  writeFileSync(file, USE);
  const { config } = ts.readConfigFile(`${SOURCE}tsconfig.json`, ts.sys.readFile) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, SOURCE);
  expect(options).toMatchObject({ strict: true, exactOptionalPropertyTypes: true });
  const { rootDir: _, ...others } = options;
  const program = ts.createProgram([file], {
    ...others,
    typeRoots: [`${SOURCE}node_modules/@types`],
    paths: { lossc: [`${SOURCE}index.ts`] },
  });
  const written = [file, ...["mine", "terms.loss"].map((name) => join(root, `dist/${name}.d.ts`))];
  const diagnostics = written.flatMap((name) => program.getSemanticDiagnostics(program.getSourceFile(name) ?? expect.fail(name)));
  const found = diagnostics.map(({ start = 0, messageText }) => [
    USE.slice(start).match(/\/\/ (.*)/)?.[1],
    ts.flattenDiagnosticMessageText(messageText, " "),
  ]);
  expect(found).toEqual([
    ["missing", expect.stringContaining("Property 'advantages' is missing")],
    ["misspelt input", expect.stringContaining("Did you mean to write 'advantages'?")],
    ["misspelt config", expect.stringContaining("'hihg' does not exist")],
    ["config of another type", expect.stringContaining("not assignable to type 'boolean")],
    ["a batch input is a number", expect.stringContaining("not assignable to type 'number'")],
    ["no rows", expect.stringContaining("missing the following properties from type 'LogitsInputs': logits, target_tokens")],
    ["misspelt constant", expect.stringContaining("'hihg' does not exist")],
  ]);
});

test("losses that need groups, or the rows of logits, say so", () => {
  expect(lossType(dpo)).toMatch(/,\n {4}"groups"\n>$/);
  expect(lossType(forward_kl)).toMatch(/,\n {4}"rows"\n>$/);
  expect(lossType(ppo)).toMatch(/,\n {4}never\n>$/);
});

test("comments of the source are there to be hovered over", () => {
  expect(ts.sys.readFile(join(root, "dist/mine.d.ts"))).toContain("/** The loss of the tests. */");
});
