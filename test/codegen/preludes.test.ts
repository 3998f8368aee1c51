/** The headers of `codegen/preludes/`, as an editor and as the text of a kernel have them. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { constantsHeader } from "../../codegen/emit/constants.js";
import { functionsHeader } from "../../codegen/emit/functions.js";
import { preludeText, TARGET_NAMES, TARGETS } from "../../codegen/emit/index.js";
import { findCxx, findNvcc } from "../../runtime/compilers/index.js";
import { findProgram } from "../../runtime/compilers/process.js";

const folder = fileURLToPath(new URL("../../codegen/preludes", import.meta.url));
const headers = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".h"))
  .sort();
const isCuda = (name: string) => dirname(name) === "cuda";
/** Folders that a GPU's text is made of. */
const CUDA = ["cuda", "simt", "common"];

const scratch = mkdtempSync(join(tmpdir(), "lossc-preludes-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const cxx = [...new Set([await findCxx(), await findProgram("clang++")])].filter((path) => path !== null);
const nvcc = await findNvcc();

/** A file that includes the header: alone, a header that is given to a compiler as its input is warned of for its `#pragma once`. */
function including(header: string, extension: string): string {
  const file = join(scratch, `${header.replaceAll("/", "-")}.${extension}`);
  writeFileSync(file, `#include "${join(folder, header)}"\n`);
  return file;
}

function complaints(program: string, args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return stdout + stderr;
}

describe.skipIf(cxx.length === 0)("a header that lacks an include is an error in an editor", () => {
  test.each(headers.filter((name) => !isCuda(name)))("%s", (header) => {
    // Only there is what the processor has told apart.
    const processors = dirname(header) === "cpu" ? [[], ["-march=native"]] : [[]];
    for (const compiler of cxx)
      for (const processor of processors)
        expect(
          complaints(compiler, ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", ...processor, including(header, "cpp")]),
        ).toBe("");
  });
});

describe.skipIf(nvcc === null)("a header that lacks an include is an error for nvcc", () => {
  test.each(headers.filter((name) => CUDA.includes(dirname(name))))("%s", (header) => {
    const args = ["-std=c++17", "-arch=sm_90", "-ptx", ...TARGETS.cuda.compiler.flags, "-o", join(scratch, "out.ptx")];
    expect(complaints(nvcc as string, [...args, including(header, "cu")])).toBe("");
  });
});

test("a constant that kernels and the compiler disagree on would spoil results: constants.h is generated, and up to date", async () => {
  await expect(constantsHeader()).toMatchFileSnapshot(join(folder, "common", "constants.h"));
});

test("an op that the CPU's prelude lacks for packets would not compile there: functions.h is generated, and up to date", async () => {
  await expect(functionsHeader()).toMatchFileSnapshot(join(folder, "cpu", "functions.h"));
});

test("a header that no target's prelude comes to would be dead", () => {
  const reached = new Set<string>();
  const visit = (name: string) => {
    if (reached.has(name)) return;
    reached.add(name);
    for (const [, path] of readFileSync(join(folder, name), "utf8").matchAll(/^#include "(.*)"$/gm))
      visit(join(dirname(name), path as string));
  };
  for (const name of TARGET_NAMES) visit(`${TARGETS[name].prelude}/prelude.h`);
  expect(headers.filter((name) => !reached.has(name))).toEqual([]);
});

test("a header that the README does not name would be found by nobody", () => {
  const readme = readFileSync(join(folder, "README.md"), "utf8");
  const named = headers.filter((name) => !["primitives.h", "prelude.h"].includes(basename(name)));
  expect(named.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
});

test.each(headers)("%s would be read twice without a guard, and its names would be the kernel's without a namespace", (name) => {
  const text = readFileSync(join(folder, name), "utf8");
  expect(text).toMatch(/^(\/\/.*\n)*#pragma once\n\n/);
  const own = text.split("#pragma once\n")[1]?.replaceAll(/^(#.*|\/\/.*|)\n/gm, "") as string;
  if (own !== "") expect(own).toMatch(/^namespace lossc \{\n[\s\S]*\n\}\s+\/\/ namespace lossc\n$/);
});

/** Tokens that a preprocessor leaves of a text, without the places where headers close and open the namespace. */
function preprocessed(compiler: string, file: string, defines: readonly string[]): string[] {
  // A header that is a compiler's input is warned of for its `#pragma once`.
  const text = execFileSync(compiler, ["-std=c++17", "-E", "-P", "-x", "c++", ...defines, file], {
    encoding: "utf8",
    stdio: "pipe",
  });
  const tokens = text.replaceAll(/\}\s*namespace lossc \{/g, "").replaceAll(/\s+/g, " ");
  return tokens.split(";").map((statement) => statement.trim());
}

describe.each(TARGET_NAMES)("the prelude of %s", (target) => {
  test("is one text without includes, in which a header stands once", () => {
    const text = preludeText(target);
    expect(text).not.toMatch(/#\s*(include|pragma once)/);
    expect(text.match(/namespace lossc/g)).toHaveLength(1);
    const lines = text.split("\n").filter((line) => line.startsWith("// ") && line.length > 40);
    expect(lines.filter((line, i) => lines.indexOf(line) !== i)).toEqual([]);
  });

  test.skipIf(cxx.length === 0)("is what a compiler makes of prelude.h, which an editor shows", () => {
    const file = join(scratch, `${target}.txt`);
    writeFileSync(file, `${preludeText(target)}\n}\n`);
    const defines = TARGETS[target].compiler.language === "cuda" ? ["-D__CUDACC__"] : [];
    const compiler = cxx[0] as string;
    expect(preprocessed(compiler, file, defines)).toEqual(
      preprocessed(compiler, join(folder, TARGETS[target].prelude, "prelude.h"), defines),
    );
  });
});
