/** `lossc build` where paths hold characters that mean something elsewhere, and where the output cannot be written. */
import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Output } from "../../runtime/ahead/output.js";
import { temporaryName } from "../../runtime/files/temporaries.js";
import { type EvalResult, failure, folder, lossc, MAIN, PLAIN, result } from "../cli/lossc.js";
import { abandonedName } from "../runtime/cache-support.js";
import { isRoot, OTHER } from "../runtime/users.js";

const ASIDE = ".lossc-build-";

const LOSS = 'import { defineLoss } from "lossc";\nexport const a = defineLoss({ name: "a", loss: (p) => -p.logprobs });\n';
const BUILD = ["build", "a.loss.ts", "--target", "cpu", "--dtype", "f32", "--out"];

/** Every file and folder below one, with the text of the files. */
function contents(root: string): Record<string, string | null> {
  const names = readdirSync(root, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    names.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, entry.isFile() ? readFileSync(path, "utf8") : null] as const;
    }),
  );
}

const ODD = "a (b) [c] {d} *.ts, é%20#?'\"!";

test("brackets, stars, blanks, quotes, %, #, ? and é in paths are taken as they are, in inputs, in imports and in --out", async () => {
  const helper = "h [1] (2)*{é}'%23.ts";
  const cwd = folder({
    [`${ODD}/src/m ${ODD}.loss.ts`]: `import { defineLoss } from "lossc";
import { HALF, type Low } from "./${encodeURI(helper.replace("%23", "#")).replace("#", "%2523").replace(".ts", ".js")}";
const low: Low = HALF;
export const mine = defineLoss({ name: "mine", loss: (policy) => -policy.logprobs * low });
`,
    [`${ODD}/src/${helper}`]: "export type Low = number;\nexport const HALF: Low = 0.5;\n",
    // Files that a glob pattern would match instead of the file.
    [`${ODD}/src/mm.loss.ts`]: "export const broken = ;",
  });
  const out = join(cwd, ODD, `out ${ODD}`);
  const run = await lossc(["build", `${ODD}/src/m ${ODD}.loss.ts`, "--out", out, "--target", "cpu", "--dtype", "f32"], { cwd });
  expect([run.stderr, run.code]).toEqual(["", 0]);
  const module = join(out, `m ${ODD}.js`);
  const map = JSON.parse(readFileSync(`${module}.map`, "utf8")) as { sources: string[] };
  expect(map.sources.map((source) => decodeURIComponent(source))).toEqual([`../src/m ${ODD}.loss.ts`]);
  // Without the cache that the build has filled: the binaries are found.
  const env = { PATH: "", CXX: "/nowhere", LOSSC_CACHE_DIR: join(cwd, "empty") };
  const got = await result<EvalResult>(["eval", `${module}#mine`, "--device", "cpu"], { stdin: PLAIN, env });
  expect(got.device).toBe("cpu");
  const whole = await result<EvalResult>(["eval", "cross_entropy", "--device", "reference"], { stdin: PLAIN });
  expect(got.loss).toBeCloseTo(whole.loss / 2, 5);
});

describe("an --out that cannot be written is USAGE, names it, starts no compiler and leaves nothing", () => {
  /** A folder with a loss, and a compiler that writes down that it was started. */
  const prepare = (files: Record<string, string> = {}) => {
    const cwd = folder({ "a.loss.ts": LOSS, cxx: '#!/bin/sh\ntouch "$(dirname "$0")/compiled"\nexec c++ "$@"\n', ...files });
    chmodSync(join(cwd, "cxx"), 0o755);
    return { cwd, env: { CXX: join(cwd, "cxx"), LOSSC_CACHE_DIR: join(folder({}), "cache") } };
  };

  test.each<[what: string, out: string, files: Record<string, string>, names: RegExp]>([
    ["a file", "out", { out: "mine" }, /--out: .*\/out cannot be written: EEXIST/],
    ["below a file", "out/in/it", { out: "mine" }, /--out: .*\/out\/in\/it cannot be written: ENOTDIR/],
    [
      "a folder where a module goes",
      "out",
      { "out/a.js/mine": "mine" },
      /--out: .*\/out\/a\.js cannot be written: there is a folder/,
    ],
    ["a file where the binaries go", "out", { "out/kernels": "mine" }, /--out: .*\/out\/kernels\/\S+ cannot be written/],
    ["a name that is too long", `new/${"x".repeat(300)}`, {}, /--out: .* cannot be written: ENAMETOOLONG/],
  ])("%s", async (_, out, files, names) => {
    const { cwd, env } = prepare(files);
    const before = contents(cwd);
    const got = await failure([...BUILD, out], { cwd, env });
    expect([got.code, got.exit]).toEqual(["USAGE", 2]);
    expect(got.message).toMatch(names);
    expect(contents(cwd)).toEqual(before);
  });

  test("files larger than the system allows, as on a full disk; an earlier build stays whole", async () => {
    const cwd = folder({ "a.loss.ts": LOSS });
    expect(await lossc([...BUILD, "out"], { cwd })).toMatchObject({ code: 0 });
    const before = contents(cwd);
    writeFileSync(join(cwd, "a.loss.ts"), `${LOSS}// ${"x".repeat(4096)}\n`);
    before[join(cwd, "a.loss.ts")] = readFileSync(join(cwd, "a.loss.ts"), "utf8");
    const script = `ulimit -f 2; trap '' XFSZ; exec "$0" "$@"`;
    const child = spawn("bash", ["-c", script, process.execPath, MAIN, ...BUILD, "out"], {
      cwd,
    });
    let said = "";
    child.stdout.on("data", (piece: Buffer) => {
      said += piece.toString();
    });
    expect(await new Promise((done) => child.on("close", done))).toBe(2);
    expect(said).toMatch(/^\{"error":\{"code":"USAGE","message":"--out: \S+\/out\/a\.js\S* cannot be written: EFBIG/);
    expect(contents(cwd)).toEqual(before);
  });

  test.skipIf(!isRoot)("a folder of somebody else's", async () => {
    const cwd = folder({});
    mkdirSync(join(cwd, "theirs/kernels"), { recursive: true });
    chownSync(join(cwd, "theirs"), OTHER, OTHER);
    const script = `const { Output } = await import(${JSON.stringify(new URL("../../dist/runtime/ahead/output.js", import.meta.url).href)});
process.setgid(65534); process.setuid(65534);
try { await Output.open(${JSON.stringify(cwd)}); } catch (error) { console.log(error.code, error.message); }
const output = await Output.open(${JSON.stringify(join(cwd, "theirs"))});
try { await output.writeFolder("kernels/x", { a: "b" }); } catch (error) { console.log(error.code, error.message); }
output.discard();`;
    chmodSync(cwd, 0o755);
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (piece: Buffer) => {
        said += piece.toString();
      });
    await new Promise((done) => child.on("close", done));
    const [whole, kernels] = said.split("\n");
    expect(whole).toMatch(/^USAGE --out: \S+ cannot be written: EACCES/);
    expect(kernels).toMatch(/^USAGE --out: \S+\/theirs\/kernels\/x cannot be written: EACCES/);
    expect(readdirSync(join(cwd, "theirs"))).toEqual(["kernels"]);
  });
});

describe("an output", () => {
  test("that cannot be moved into place as a whole puts back what lay there", async () => {
    const root = folder({ "out/a.js": "old a", "out/kernels/k/x": "old k" });
    const out = join(root, "out");
    const output = await Output.open(out);
    await output.write("b/c.js", "new");
    await output.write("a.js", "new a");
    await output.writeFolder("kernels/k", { x: "new k" });
    // After the check, as another program might.
    writeFileSync(join(out, "b"), "in the way");
    await expect(output.commit()).rejects.toMatchObject({ code: "USAGE" });
    output.discard();
    expect(contents(root)).toEqual({
      [out]: null,
      [join(out, "a.js")]: "old a",
      [join(out, "b")]: "in the way",
      [join(out, "kernels")]: null,
      [join(out, "kernels/k")]: null,
      [join(out, "kernels/k/x")]: "old k",
    });
  });

  test("is written through symbolic links, and deletes nothing beside it", async () => {
    const root = folder({ "real.js": "old", "out/mine.txt": "mine" });
    symlinkSync("../real.js", join(root, "out/a.js"));
    const output = await Output.open(join(root, "out"));
    await output.write("a.js", "new");
    await output.commit();
    expect(readFileSync(join(root, "real.js"), "utf8")).toBe("new");
    expect(readdirSync(join(root, "out")).sort()).toEqual(["a.js", "mine.txt"]);
  });

  test("sweeps what killed builds left, and nothing without lossc's mark or of somebody else's", async () => {
    const root = folder({});
    const [dead, living, unmarked] = [abandonedName(ASIDE), temporaryName(ASIDE), abandonedName(ASIDE)];
    for (const name of [dead, living, unmarked, "other"]) {
      mkdirSync(join(root, name), { mode: 0o700 });
      writeFileSync(join(root, name, name === unmarked ? "thesis.tex" : ".lossc"), "");
    }
    const theirs = abandonedName(ASIDE);
    if (isRoot) {
      cpSync(join(root, dead), join(root, theirs), { recursive: true });
      chownSync(join(root, theirs), OTHER, OTHER);
    }
    (await Output.open(root)).discard();
    expect(readdirSync(root).sort()).toEqual([living, unmarked, "other", ...(isRoot ? [theirs] : [])].sort());
  });

  test.each([0o777, 0o1777])("in a folder of mode %o, where everyone may put what is run, is refused", async (mode) => {
    const root = folder({});
    for (const name of ["out", "out/kernels"]) mkdirSync(join(root, name));
    chmodSync(join(root, "out"), mode);
    await expect(Output.open(join(root, "out"))).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining("everyone"),
    });
    chmodSync(join(root, "out"), 0o755);
    chmodSync(join(root, "out/kernels"), mode);
    const output = await Output.open(join(root, "out"));
    await expect(output.writeFolder("kernels/k", { x: "new" })).rejects.toMatchObject({ code: "USAGE" });
    output.discard();
    expect(readdirSync(join(root, "out"))).toEqual(["kernels"]);
  });

  test.skipIf(!isRoot)("does not follow another user's link, nor remove a folder of another user's", async () => {
    const root = folder({ precious: "ours", "out/kernels/k/x": "theirs" });
    const out = join(root, "out");
    symlinkSync("../precious", join(out, "a.js"));
    lchownSync(join(out, "a.js"), OTHER, OTHER);
    chownSync(join(out, "kernels/k"), OTHER, OTHER);
    const output = await Output.open(out);
    await expect(output.write("a.js", "new")).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining("another user"),
    });
    await output.writeFolder("kernels/k", { x: "new" });
    await expect(output.commit()).rejects.toMatchObject({ code: "USAGE", message: expect.stringContaining("another user") });
    output.discard();
    expect(readFileSync(join(root, "precious"), "utf8")).toBe("ours");
    expect(readFileSync(join(out, "kernels/k/x"), "utf8")).toBe("theirs");
    expect(readdirSync(out).sort()).toEqual(["a.js", "kernels"]);
  });
});

test.each(["SIGINT", "SIGTERM"] as const)("a build that %s ends leaves nothing", async (signal) => {
  const cwd = folder({
    "a.loss.js": LOSS,
    cxx: '#!/bin/sh\ncase "$*" in *kernel.cpp*) touch "$(dirname "$0")/compiling"; sleep 60;; *) exec c++ "$@";; esac\n',
  });
  chmodSync(join(cwd, "cxx"), 0o755);
  const env = { ...process.env, CXX: join(cwd, "cxx"), LOSSC_CACHE_DIR: join(folder({}), "cache") };
  const child = spawn(process.execPath, [MAIN, "build", "a.loss.js", "--target", "cpu", "--dtype", "f32", "--out", "new/out"], {
    cwd,
    env,
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await expect.poll(() => existsSync(join(cwd, "compiling")), { timeout: 60_000 }).toBe(true);
  child.kill(signal);
  const ended = await new Promise((done) => child.on("close", (_code, by) => done(by)));
  expect(ended).toBe(signal);
  expect(readdirSync(cwd).sort()).toEqual(["a.loss.js", "compiling", "cxx"]);
});
