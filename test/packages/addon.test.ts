/**
 * Where the addon of an installed package comes from: the package, the one for this kind of machine, or a compiler; and what is said where there is
 * none.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { platformName } from "../../runtime/addon/platform.js";
import { cli, filesOf, linkDependencies, node, packInto, project, ROOT, scratch, unpack } from "./support.js";

let folder: string;
let archive: string;

beforeAll(() => {
  folder = scratch();
  archive = packInto(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const BINARY = "node_modules/lossc/build/Release/lossc.node";

/** A project whose lossc has no binary. */
function without(): string {
  const root = project(archive);
  rmSync(join(root, "node_modules/lossc/build"), { recursive: true });
  return root;
}

interface Parts {
  readonly parts: readonly {
    readonly part: string;
    readonly found: boolean;
    readonly description: string;
    readonly advice?: string;
  }[];
}

/** The addon's line in `lossc devices`. */
function addonOf(root: string) {
  const { stdout } = cli(root, ["devices", "--json"]);
  return (JSON.parse(stdout) as Parts).parts.find(({ part }) => part === "addon");
}

/** The beginning of an ELF file for a processor, and what it is linked to. */
function elf(machine: number, libc: string): Buffer {
  const file = Buffer.alloc(512);
  file.write("\x7fELF\x02\x01\x01", "latin1");
  file.writeUInt16LE(3, 16);
  file.writeUInt16LE(machine, 18);
  file.write(libc, 128);
  return file;
}

describe("without a binary", () => {
  test("lossc says how to build one where it is installed, and computes on reference until then", () => {
    const root = without();
    const main = `import("lossc").then(async ({ openDevice }) => {
      const { name } = await openDevice("cpu");
      const { code, message } = await openDevice("emulated").catch((error) => error);
      console.log(JSON.stringify({ name, code, message }));
    });`;
    const { stdout, stderr } = node(root, ["-e", main]);
    expect(stderr).toContain("npx lossc build-addon");
    expect(stderr).not.toContain("npm run build");
    expect(JSON.parse(stdout)).toEqual({
      name: "reference",
      code: "DEVICE_NOT_FOUND",
      message: expect.stringMatching(/is missing.*npx lossc build-addon.*"reference" works without it/),
    });
  });

  test("a binary for another kind of machine is named as that, and so is a file that is none", () => {
    const root = without();
    mkdirSync(join(root, "node_modules/lossc/build/Release"), { recursive: true });
    for (const [bytes, said] of [
      [elf(183, "libc.so.6"), /is for linux-arm64-gnu, and this machine is \S+$/],
      [elf(62, "libc.musl-x86_64.so.1"), /is for linux-x64-musl, and this machine is/],
      [Buffer.from("<html>no such file</html>".padEnd(80)), /is no shared library/],
    ] as const) {
      writeFileSync(join(root, BINARY), bytes);
      expect(addonOf(root)).toMatchObject({
        found: false,
        description: expect.stringMatching(said),
        advice: expect.stringContaining("npx lossc build-addon"),
      });
    }
  });
});

describe("the package for this kind of machine", () => {
  test("is packed with what was built here, and its binary is loaded where lossc has none of its own", () => {
    const out = join(folder, "npm");
    const packed = node(ROOT, ["scripts/pack.mjs", "--out", out]);
    expect(packed.stderr).toBe("");
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const own = `lossc-${version}.tgz`;
    const other = `lossc-${platformName()}-${version}.tgz`;
    expect(readdirSync(out).sort()).toEqual([own, other].sort());
    expect(filesOf(join(out, own)).filter((file) => file.startsWith("build/"))).toEqual([]);

    const root = scratch();
    try {
      const lossc = unpack(join(out, own), root, "lossc");
      linkDependencies(root);
      const wanted = JSON.parse(readFileSync(join(lossc, "package.json"), "utf8")).optionalDependencies;
      expect(wanted[`@lossc/${platformName()}`]).toBe(version);
      expect(addonOf(root)?.advice).toContain(`npm install @lossc/${platformName()}@${version}`);

      const binary = unpack(join(out, other), root, `@lossc/${platformName()}`);
      const manifest = JSON.parse(readFileSync(join(binary, "package.json"), "utf8"));
      expect(manifest).toMatchObject({ version, os: [process.platform], cpu: [process.arch] });
      const found = { found: true, description: join(binary, "lossc.node") };
      expect(addonOf(root)).toMatchObject(found);
      // The guard is packed beside the addon, and can be run.
      const built = join(ROOT, "build", "Release");
      const beside = readdirSync(built).filter((name) => name === "lossc.node" || name === "lossc-guard");
      for (const name of beside) {
        expect(readFileSync(join(binary, name)).equals(readFileSync(join(built, name)))).toBe(true);
        expect(statSync(join(binary, name)).mode & 0o111, name).toBe(0o111);
      }

      // A binary in the package itself that does not fit is skipped.
      mkdirSync(join(lossc, "build/Release"), { recursive: true });
      writeFileSync(join(lossc, "build/Release/lossc.node"), elf(243, "libc.so.6"));
      expect(addonOf(root)).toMatchObject(found);
      rmSync(join(lossc, "build"), { recursive: true });
      // That of another version is not loaded: the two speak with each other by no fixed rules.
      writeFileSync(join(binary, "package.json"), JSON.stringify({ ...manifest, version: "0.0.1" }));
      expect(addonOf(root)).toMatchObject({ found: false });
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});

describe("lossc build-addon", () => {
  /** A C++ compiler that compiles the one source that includes all headers of others, and takes what this checkout has made of the rest. */
  const CACHED = `#!/bin/sh
for word in "$@"; do
  [ "$before" != -o ] || target=$word
  before=$word
done
case "$target" in
  */addon.cc.o) ;;
  *.o) [ ! -e "${ROOT}/build/$target" ] || exec cp "${ROOT}/build/$target" "$target" ;;
esac
exec c++ "$@"
`;

  function compiler(root: string, text: string): string {
    const path = join(root, "compiler");
    writeFileSync(path, text);
    chmodSync(path, 0o755);
    return path;
  }

  test("compiles it into the package, with nothing but what was installed; there it is found", () => {
    const root = without();
    const path = join(root, BINARY);
    const { stdout, stderr, status } = cli(root, ["build-addon"], { env: { CXX: compiler(root, CACHED) } });
    expect(stderr).toMatch(/^lossc: compiling the addon.*\n$/);
    expect([status, stdout]).toEqual([0, `${path}\n`]);
    expect(addonOf(root)).toMatchObject({ found: true, description: path });
    // Neither objects nor unfinished files stay.
    expect(readdirSync(join(root, "node_modules/lossc/build"))).toEqual(["Release"]);
    expect(readdirSync(join(root, "node_modules/lossc/build/Release")).filter((name) => name.includes("part"))).toEqual([]);
    // And elsewhere, where the package cannot be written.
    const out = join(root, "elsewhere");
    renameSync(path, `${path}.kept`);
    const again = cli(root, ["build-addon", "--out", out], { env: { CXX: compiler(root, CACHED) } });
    expect(again.stderr).toContain(`LOSSC_ADDON=${join(out, "lossc.node")}`);
    expect(again.stdout).toBe(`${join(out, "lossc.node")}\n`);
    expect(existsSync(path)).toBe(false);
  });

  test("says what is missing to compile it", () => {
    const root = without();
    mkdirSync(join(root, "bin"));
    symlinkSync(process.execPath, join(root, "bin", "node"));
    const { stdout, status } = cli(root, ["build-addon"], { env: { PATH: join(root, "bin"), CXX: "" } });
    expect(status).toBe(2);
    expect(JSON.parse(stdout).error).toEqual({
      code: "COMPILER_NOT_FOUND",
      message: expect.stringMatching(/cmake and make and g\+\+ are missing/),
    });
  });

  test("gives what the compiler said where it fails, and leaves nothing half-written", () => {
    const root = without();
    const broken = compiler(root, `#!/bin/sh\n[ "$1" = --version ] && exec c++ "$@"\necho the disk is full >&2\nexit 1\n`);
    const { stdout, stderr, status } = cli(root, ["build-addon"], { env: { CXX: broken } });
    expect(status).toBe(1);
    expect(JSON.parse(stdout).error.code).toBe("COMPILE_FAILED");
    expect(stderr).toContain("the disk is full");
    expect(readdirSync(join(root, "node_modules/lossc/build/Release"))).toEqual([]);
  });

  test("says which folder cannot be written, before it compiles", () => {
    const root = project(archive, { file: "" });
    const { stdout, status } = cli(root, ["build-addon", "--out", "file/folder"]);
    expect(status).toBe(2);
    expect(JSON.parse(stdout).error).toEqual({ code: "USAGE", message: expect.stringContaining(join(root, "file/folder")) });
    const temporary = cli(root, ["build-addon"], { env: { TMPDIR: join(root, "file") } });
    expect(JSON.parse(temporary.stdout).error).toEqual({ code: "USAGE", message: expect.stringContaining("$TMPDIR") });
    rmSync(join(root, "node_modules/lossc/build"), { recursive: true });
    writeFileSync(join(root, "node_modules/lossc/build"), "");
    const inside = cli(root, ["build-addon"], { env: { PATH: process.env.PATH + delimiter } });
    expect(JSON.parse(inside.stdout).error.message).toMatch(/cannot be written.*build-addon --out FOLDER.*LOSSC_ADDON/);
  });
});
