/** The cache beside other users, who plant and exchange what they may. Where the tests run as root, the other is the user 65534. */
import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
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
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { KernelCache } from "../../runtime/cache/index.js";
import { openCxx } from "../../runtime/compilers/index.js";
import { OwnFolder } from "../../runtime/files/own-folder.js";
import { kernels, request, text } from "./cache-support.js";
import { temporaryFolder, withEnvironment } from "./support.js";
import { asOther, isRoot, OTHER } from "./users.js";

/** A folder that everybody may write to, as shared scratch space is; without the sticky bit everybody may rename what is in it, too. */
function sharedFolder(mode = 0o777): string {
  const folder = temporaryFolder();
  chmodSync(folder, mode);
  return folder;
}

/** A whole entry that another user would like to have run, as lossc itself would have made it. */
async function plantedEntry(): Promise<string> {
  const root = temporaryFolder();
  await new KernelCache(root).get(request("k", "planted"));
  return kernels(root);
}

function giveAway(path: string): void {
  chownSync(path, OTHER, OTHER);
  if (!statSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveAway(join(path, name));
}

async function found(root: string): Promise<string> {
  return text((await new KernelCache(root).get(request("k", "own"))).bytes);
}

/** Everything below a folder: names, owners, content. */
function everything(path: string): unknown {
  const { uid, mode } = statSync(path);
  if (!statSync(path).isDirectory()) return [uid, mode, readFileSync(path, "latin1")];
  return [uid, mode, Object.fromEntries(readdirSync(path).map((name) => [name, everything(join(path, name))]))];
}

describe.skipIf(!isRoot)(`another user's${isRoot ? "" : " (the tests do not run as root)"}`, () => {
  test.each([0o777, 0o1777])("folder in a shared one of mode %o is not read, and stays as it is", async (mode) => {
    const root = sharedFolder(mode);
    cpSync(await plantedEntry(), kernels(root), { recursive: true });
    giveAway(kernels(root));
    const before = everything(kernels(root));
    expect(await found(root)).toBe("binary of own");
    expect(everything(kernels(root))).toEqual(before);
    expect(new KernelCache(root).describe()).toMatchObject({ problem: expect.stringContaining(`belongs to the user ${OTHER}`) });
  });

  test("process finds nothing of ours", async () => {
    const root = sharedFolder();
    expect(await found(root)).toBe("binary of own");
    const before = everything(kernels(root));
    const other = await asOther(async () => text((await new KernelCache(root).get(request("k", "other's"))).bytes));
    expect(other).toBe("binary of other's");
    expect(everything(kernels(root))).toEqual(before);
  });

  test("file in a folder of ours is not read", async () => {
    for (const file of ["entry.json", "kernel.bin"]) {
      const root = temporaryFolder();
      await new KernelCache(root).get(request("k", "planted"));
      chownSync(join(kernels(root), "k", file), OTHER, OTHER);
      expect(await found(root)).toBe("binary of own");
    }
  });

  test("answer for a compiler gives it no flags", async () => {
    const root = sharedFolder();
    withEnvironment({ LOSSC_CACHE_DIR: root });
    const features = "some features";
    const good = { target: "cpu", text: 'extern "C" void k0() {}\n', launches: [] } as const;
    const first = await (await openCxx(new KernelCache(root), "cpu", features)).compile(good);
    const note = readdirSync(kernels(root)).find((name) => name.startsWith("note-")) as string;
    const answer = JSON.parse(readFileSync(join(kernels(root), note), "utf8"));
    const mark = join(root, "ran");
    const wrapper = join(root, "wrapper");
    writeFileSync(wrapper, `#!/bin/sh\ntouch ${mark}\nexec "$@"\n`, { mode: 0o755 });
    writeFileSync(join(kernels(root), note), JSON.stringify({ ...answer, native: ["-wrapper", wrapper] }));
    giveAway(kernels(root));
    // The answer of this process must not help: another asks.
    const script = `
      const { KernelCache } = await import(${JSON.stringify(new URL("../../dist/runtime/cache/index.js", import.meta.url))});
      const { openCxx } = await import(${JSON.stringify(new URL("../../dist/runtime/compilers/index.js", import.meta.url))});
      const toolchain = await openCxx(new KernelCache(${JSON.stringify(root)}), "cpu", ${JSON.stringify(features)});
      console.log((await toolchain.compile(${JSON.stringify(good)})).key);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "ignore"] });
    let output = "";
    child.stdout.on("data", (piece) => {
      output += piece;
    });
    await new Promise((resolve) => child.once("close", resolve));
    expect(output.trim()).toBe(first.key);
    expect(existsSync(mark)).toBe(false);
  });

  test("folder that takes the place of ours, again and again, is never read", async () => {
    const root = sharedFolder();
    expect(await found(root)).toBe("binary of own");
    const planted = join(root, "planted");
    cpSync(await plantedEntry(), planted, { recursive: true });
    giveAway(planted);
    const link = join(root, "link");
    symlinkSync(planted, link);
    const [ours, away] = [kernels(root), join(root, "away")];
    const swap = (evil: string) =>
      `try { fs.renameSync(${JSON.stringify(ours)}, ${JSON.stringify(away)}); fs.renameSync(${JSON.stringify(evil)}, ${JSON.stringify(ours)});
        fs.renameSync(${JSON.stringify(ours)}, ${JSON.stringify(evil)}); fs.renameSync(${JSON.stringify(away)}, ${JSON.stringify(ours)}); } catch {}`;
    const child = spawn(process.execPath, ["-e", `const fs = require("fs"); for (;;) { ${swap(planted)} ${swap(link)} }`]);
    onTestFinished(() => void child.kill("SIGKILL"));
    await new Promise((resolve) => child.once("spawn", resolve));
    const seen = new Set<string>();
    const until = Date.now() + 1500;
    while (Date.now() < until) seen.add(await found(root));
    expect([...seen]).toEqual(["binary of own"]);
    expect(text(readFileSync(existsSync(planted) ? join(planted, "k", "kernel.bin") : join(ours, "k", "kernel.bin")))).toBe(
      "binary of planted",
    );
  });
});

test("a folder of ours that others may write to is not used", async () => {
  for (const mode of [0o777, 0o770, 0o720]) {
    const root = temporaryFolder();
    await new KernelCache(root).get(request("k", "planted"));
    chmodSync(kernels(root), mode);
    expect(await found(root)).toBe("binary of own");
  }
});

test("an entry that others may write to is not used", async () => {
  for (const name of ["k", "k/entry.json", "k/kernel.bin"]) {
    const root = temporaryFolder();
    await new KernelCache(root).get(request("k", "planted"));
    chmodSync(join(kernels(root), name), 0o777);
    expect(await found(root)).toBe("binary of own");
  }
});

test("a link is not followed: not for the folder, an entry or a file", async () => {
  for (const name of ["", "k", "k/entry.json", "k/kernel.bin"]) {
    const root = temporaryFolder();
    await new KernelCache(root).get(request("k", "planted"));
    const path = join(kernels(root), name);
    renameSync(path, join(root, "elsewhere"));
    symlinkSync(join(root, "elsewhere"), path);
    expect(await found(root)).toBe("binary of own");
  }
});

test("a folder that was exchanged under a running process is given up", async () => {
  const root = temporaryFolder();
  const cache = new KernelCache(root);
  await cache.get(request("a"));
  renameSync(kernels(root), join(root, "moved"));
  cpSync(await plantedEntry(), kernels(root), { recursive: true });
  chmodSync(kernels(root), 0o777);
  expect(text((await cache.get(request("k", "own"))).bytes)).toBe("binary of own");
  rmSync(kernels(root), { recursive: true });
  expect((await cache.get(request("k", "own"))).built).toBe(false);
});

describe("where no path leads through a descriptor", () => {
  const open = (path: string) => OwnFolder.open(path, { throughDescriptors: false });

  test("a folder is used whose name nobody else can give to another", () => {
    const folder = join(temporaryFolder(), "own");
    mkdirSync(folder, { mode: 0o700 });
    const own = open(folder);
    own.write("file", "content");
    expect(own.read("file").toString()).toBe("content");
    expect(readFileSync(join(folder, "file"), "utf8")).toBe("content");
    own.close();
    // As /tmp is: there only the owner renames what is his.
    expect(statSync(tmpdir()).mode & 0o1000).toBe(0o1000);
  });

  test("a folder is refused that others may exchange", () => {
    const shared = sharedFolder();
    mkdirSync(join(shared, "own"), { mode: 0o700 });
    expect(() => open(join(shared, "own"))).toThrow(`others may write to ${shared}, above it`);
  });

  test.skipIf(!isRoot)("a folder is refused below another user's", () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "own"), { mode: 0o700 });
    chownSync(folder, OTHER, OTHER);
    expect(() => open(join(folder, "own"))).toThrow(`belongs to the user ${OTHER}`);
  });
});
