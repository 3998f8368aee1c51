/** `lossc build` for the CPU: what it writes runs where there is no compiler, and says why where it cannot. */
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { failure, folder, lossc, result } from "../cli/lossc.js";
import { build, INPUTS, production, project } from "./support.js";

interface Summary {
  readonly out: string;
  readonly modules: readonly { readonly module: string; readonly losses: readonly string[] }[];
  readonly binaries: { readonly count: number; readonly bytes: number; readonly architectures: readonly string[] };
}

const HOST = `${process.platform}-${process.arch}`;
const root = project();
let summary: Summary;

beforeAll(async () => {
  const { stdout, stderr, code } = await build(root, ["--target", "cpu", "--dtype", "f32", "--json"]);
  expect([stderr, code]).toEqual(["", 0]);
  summary = JSON.parse(stdout) as Summary;
});

/** A copy of what was built that a test may spoil. */
function copy(): string {
  const other = folder({});
  cpSync(root, other, { recursive: true, filter: (path) => !path.includes("node_modules") && !path.endsWith("/cache") });
  cpSync(join(root, "node_modules"), join(other, "node_modules"), { recursive: true, verbatimSymlinks: true });
  return other;
}

function entries(at: string): string[] {
  const kernels = join(at, "dist/kernels");
  return readdirSync(kernels).map((name) => join(kernels, name));
}

test("the summary names modules, losses and binaries, and nothing else lies in the folder", () => {
  expect(summary.modules.map(({ module, losses }) => [module, losses])).toEqual([
    ["mine.js", ["mine"]],
    ["helper.js", []],
    ["terms.loss.js", []],
  ]);
  // From logits with short rows and with long ones, from logprobs, and the training client's.
  expect(summary.binaries).toMatchObject({ count: 4, architectures: [HOST] });
  expect(readdirSync(summary.out).sort()).toEqual([
    ...["helper.d.ts", "helper.js", "helper.js.map", "kernels", "mine.d.ts", "mine.js", "mine.js.map"],
    ...["terms.loss.d.ts", "terms.loss.js", "terms.loss.js.map"],
  ]);
  expect(entries(root).every((path) => path.includes(`/${HOST}-`) && existsSync(join(path, "kernel.cpp")))).toBe(true);
});

test("the module is JavaScript with its operators rewritten, and a map", () => {
  const code = readFileSync(join(root, "dist/mine.js"), "utf8");
  expect(code).toContain("lossc.sub(policy.logprobs, inputs.logprobs)");
  expect(code).toContain('from "./terms.loss.js"');
  const map = JSON.parse(readFileSync(join(root, "dist/mine.js.map"), "utf8")) as { sources: string[] };
  expect(map.sources).toEqual(["../src/mine.loss.ts"]);
});

describe("without a compiler, ts-morph or a home", () => {
  test("the built loss runs on the CPU and gives what reference gives", () => {
    const got = production(root);
    const oracle = production(root, { DEVICE: "reference" });
    expect([got.device, oracle.device]).toEqual(["cpu", "reference"]);
    expect(got.launches).toBeGreaterThan(1);
    expect(got.loss).toBeCloseTo(oracle.loss, 6);
    got.gradient.forEach((g, i) => {
      expect(g).toBeCloseTo(oracle.gradient[i] as number, 6);
    });
    expect(existsSync(join(root, "cache"))).toBe(false);
  });

  test("a dtype that was not built is COMPILER_NOT_FOUND, and says what there is", () => {
    const got = production(root, { DTYPE: "bf16" });
    expect(got.code).toBe("COMPILER_NOT_FOUND");
    expect(got.message).toMatch(
      new RegExp(`dist/kernels/ holds kernels for ${HOST}, but not this one: it was built for other dtypes`),
    );
  });

  test("a processor that lacks what the binaries need is COMPILER_NOT_FOUND, and named", () => {
    const other = copy();
    for (const entry of entries(other)) {
      const file = join(entry, "entry.json");
      const about = JSON.parse(readFileSync(file, "utf8")) as { needs: string[] };
      writeFileSync(file, JSON.stringify({ ...about, needs: [...about.needs, "avx9000"] }));
    }
    const got = production(other);
    expect([got.device, got.code]).toEqual(["cpu", "COMPILER_NOT_FOUND"]);
    expect(got.message).toContain("were made for a processor with avx9000, which this one lacks");
  });

  test("a damaged binary is not loaded", () => {
    const other = copy();
    for (const entry of entries(other)) writeFileSync(join(entry, "kernel.so"), "no shared object");
    const got = production(other);
    expect(got.code).toBe("COMPILER_NOT_FOUND");
    expect(got.message).toContain("is damaged; build it again");
    // Where there is a compiler it is made anew.
    const { PATH, CXX } = process.env;
    expect(production(other, { PATH, CXX }).launches).toBeGreaterThan(1);
  });
});

test("a binary that is whole but does not load is COMPILER_NOT_FOUND with its path", () => {
  const other = copy();
  const bytes = Buffer.from("no shared object");
  for (const entry of entries(other)) {
    writeFileSync(join(entry, "kernel.so"), bytes);
    const about = JSON.parse(readFileSync(join(entry, "entry.json"), "utf8")) as object;
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(entry, "entry.json"), JSON.stringify({ ...about, sha256 }));
  }
  const got = production(other);
  expect(got.code).toBe("COMPILER_NOT_FOUND");
  expect(got.message).toMatch(/kernel\.so does not load: /);
});

test("the command line takes built modules too", async () => {
  const { lengths, logits, target_tokens, ...inputs } = INPUTS;
  const stdin = { lengths, vocab: 3, logits, target_tokens, inputs };
  const got = await result<{ device: string }>(["eval", join(root, "dist/mine.js#mine"), "--device", "cpu"], {
    stdin,
    env: { PATH: "", CXX: "/nowhere", LOSSC_CACHE_DIR: join(root, "empty") },
  });
  expect(got.device).toBe("cpu");
});

test("losses that ship with lossc are built from their sources", async () => {
  const out = join(folder({}), "out");
  const source = new URL("../../losses/cross_entropy.loss.ts", import.meta.url).pathname;
  const { code, stderr } = await lossc(["build", source, "--out", out, "--target", "cpu", "--dtype", "f32"]);
  expect([stderr, code]).toEqual(["", 0]);
  expect(readFileSync(join(out, "cross_entropy.js"), "utf8")).toContain('from "lossc"');
});

describe("mistakes", () => {
  const LOSS = 'import { defineLoss } from "lossc"; export const a = defineLoss({ name: "a", loss: (p) => -p.logprobs });';
  test.each<[string, string, readonly string[], Record<string, string>, RegExp]>([
    ["files without a loss", "LOSS_UNKNOWN", ["a.ts"], { "a.ts": "export const a = 1;" }, /a\.ts exports no loss/],
    ["a file that is not there", "LOSS_UNKNOWN", ["b.loss.ts"], {}, /there is no file .*b\.loss\.ts/],
    [
      "two files of one place",
      "USAGE",
      ["a.loss.ts", "a.ts"],
      { "a.loss.ts": LOSS, "a.ts": "" },
      /would both be written to a\.js/,
    ],
    ["a target that is none", "USAGE", ["a.loss.ts", "--target", "gpu"], { "a.loss.ts": LOSS }, /some of cuda, cpu/],
    ["an architecture that is none", "USAGE", ["a.loss.ts", "--arch", "90"], { "a.loss.ts": LOSS }, /look like sm_90/],
    ["no file", "USAGE", [], {}, /missing required argument/],
  ])("%s: %s", async (_, code, args, files, message) => {
    const got = await failure(["build", ...args, "--out", "out"], { cwd: folder(files) });
    expect([got.code, got.exit]).toEqual([code, 2]);
    expect(got.message).toMatch(message);
  });

  test("a source that would be overwritten: USAGE", async () => {
    const cwd = folder({ "a.loss.js": LOSS, "b.js": 'export * from "./a.loss.js";' });
    const got = await failure(["build", "b.js", "--out", "."], { cwd });
    expect(got.code).toBe("USAGE");
    expect(got.message).toContain("would be overwritten");
    expect(readFileSync(join(cwd, "a.loss.js"), "utf8")).toBe(LOSS);
  });

  test("no compiler to build with: COMPILER_NOT_FOUND", async () => {
    const cwd = folder({ "a.loss.ts": LOSS });
    const env = { PATH: "", CXX: "/nowhere", LOSSC_CACHE_DIR: join(cwd, "cache") };
    const got = await failure(["build", "a.loss.ts", "--out", "out", "--target", "cpu"], { cwd, env });
    expect([got.code, got.exit]).toEqual(["COMPILER_NOT_FOUND", 2]);
  });
});
