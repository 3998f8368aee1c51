/**
 * Typed declarations of built modules. TypeScript writes them from the sources, with their comments. The inputs and config of each loss are then
 * spelt out, each with a comment, and what its plan says is added: whether it needs groups, or the rows of logits.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Project, ts } from "ts-morph";
import { typescript } from "../../codegen/operators/typescript.js";
import type { ConfigDeclaration, InputDeclaration, LossDefinition } from "../../dsl/define-loss.js";
import { LosscError } from "../../dsl/errors.js";
import { groupSizeOf, planOf } from "../compiled/plans.js";
import { checkConfig } from "../inputs/config.js";
import { type Edit, edited, renamed, type SourceModule } from "./modules.js";
import type { Output } from "./output.js";

const HERE = new URL("../../", import.meta.url);

/** Writes a `.d.ts` beside each module. `UNSUPPORTED_SYNTAX` where TypeScript cannot name the types of what a file exports. */
export async function writeDeclarations(modules: readonly SourceModule[], output: Output): Promise<void> {
  const project = openProject(modules.map(({ path }) => path));
  for (const module of modules) {
    const emitted = project.getSourceFileOrThrow(module.path).getEmitOutput({ emitOnlyDtsFiles: true });
    const [text] = emitted.getOutputFiles().map((file) => file.getText());
    if (text === undefined)
      throw new LosscError(
        "UNSUPPORTED_SYNTAX",
        `TypeScript writes no declarations of ${module.path}: give what it exports types that can be named`,
      );
    await output.write(`${module.output}.d.ts`, typedLosses(renamed(text, module, modules, "path"), module.losses));
  }
}

function openProject(paths: readonly string[]): Project {
  const { Project } = createRequire(import.meta.url)("ts-morph") as typeof import("ts-morph");
  const ts = typescript();
  const own = (name: string) => fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? `${name}.ts` : `${name}.d.ts`, HERE));
  const project = new Project({
    skipAddingFilesFromTsConfig: true,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      allowImportingTsExtensions: true,
      allowJs: true,
      declaration: true,
      strict: true,
      skipLibCheck: true,
      types: [],
      paths: { lossc: [own("index")], "lossc/operators": [own("dsl/operators")] },
    },
  });
  // One by one: a list of paths would be taken for patterns.
  for (const path of paths) project.addSourceFileAtPath(path);
  return project;
}

/** Declarations with the types of losses spelt out. */
function typedLosses(text: string, losses: Readonly<Record<string, LossDefinition>>): string {
  const ts = typescript();
  const file = ts.createSourceFile("module.d.ts", text, ts.ScriptTarget.ES2022, true);
  const edits: Edit[] = [];
  for (const statement of file.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, type } of statement.declarationList.declarations) {
      if (!ts.isIdentifier(name) || type === undefined) continue;
      // TypeScript's own name of what is exported as the default.
      const key = name.text === "_default" ? "default" : name.text;
      const loss = Object.hasOwn(losses, key) ? losses[key] : undefined;
      if (loss) edits.push({ start: type.getStart(file), end: type.end, text: lossType(loss, returned(type)) });
    }
  }
  return edited(text, edits);
}

/** The type that TypeScript infers for the result of a loss: the third argument of `LossDefinition`. */
function returned(type: ts.TypeNode): string {
  const { isImportTypeNode, isTypeReferenceNode } = typescript();
  const given = isImportTypeNode(type) || isTypeReferenceNode(type) ? type.typeArguments?.[2] : undefined;
  return given?.getText() ?? own("LossReturn");
}

/** The type of a built loss, as text. */
export function lossType(loss: LossDefinition, result: string = own("LossReturn")): string {
  const { plan } = planOf(loss, "f32", checkConfig(loss));
  const inputs = Object.entries(loss.inputs).map(([name, declared]) => inputField(name, declared));
  const config = Object.entries(loss.config).map(([name, declared]) => configField(name, declared));
  const needs = [...(groupSizeOf(loss, plan) > 0 ? ['"groups"'] : []), ...(fromLogprobs(loss) ? [] : ['"rows"'])];
  const parameters = [block(inputs), block(config), result, needs.join(" | ") || "never"];
  return `${own("LossDefinition")}<\n    ${parameters.join(",\n    ")}\n>`;
}

/** Whether the loss can be computed from the policy's log-probabilities alone. */
export function fromLogprobs(loss: LossDefinition): boolean {
  try {
    planOf(loss, null, checkConfig(loss));
    return true;
  } catch (error) {
    if (error instanceof LosscError && error.code === "INPUT_MISSING") return false;
    throw error;
  }
}

const own = (name: string) => `import("lossc").${name}`;

function block(fields: readonly string[]): string {
  return fields.length === 0 ? own("None") : `{\n${fields.map((field) => `        ${field}\n`).join("")}    }`;
}

function inputField(name: string, { space, dtype, default: otherwise }: InputDeclaration): string {
  const more = [
    ...(dtype === "f32" ? [] : [`readonly dtype: "${dtype}"`]),
    ...(otherwise === undefined ? [] : [`readonly default: ${otherwise}`]),
  ];
  const type = more.length === 0 ? `"${space}"` : `{ ${[`readonly space: "${space}"`, ...more].join("; ")} }`;
  const shared = { batch: "One number", vocab: "Per token and vocabulary entry", entry: "Per vocabulary entry" };
  const per = Object.hasOwn(shared, space) ? shared[space as keyof typeof shared] : `Per ${space}`;
  const absent = otherwise === undefined ? "" : `; ${otherwise} where left out`;
  return `/** ${per}${absent}. */ readonly ${key(name)}: ${type};`;
}

function configField(name: string, { kind, value }: ConfigDeclaration): string {
  const constant = kind === "static" ? ", a constant: other values are compiled when they come" : "";
  const text = JSON.stringify(value);
  const type = kind === "static" && typeof value === "number" ? `{ readonly value: ${text}; readonly static: true }` : text;
  return `/** ${text.replaceAll("*/", "* /")} where left out${constant}. */ readonly ${key(name)}: ${type};`;
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
