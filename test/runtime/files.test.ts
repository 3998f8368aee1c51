/** Files that are written aside and renamed: every kind of entry at the path, and every error of the system. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { readWith, writeAside } from "../../runtime/files/user-files.js";
import { expectError, temporaryFolder } from "./support.js";
import { becomeOther, isRoot, OTHER } from "./users.js";

const save = (path: string, text: string) => writeAside(path, "the file", (file) => file.writeFile(text));
const read = (path: string) => readWith(path, "the file", (file) => file.readFile("utf8"));
const modeOf = (path: string) => statSync(path).mode & 0o777;

/** Something at `path` that is no file. */
const OTHERS: Readonly<Record<string, (path: string) => unknown>> = {
  "a folder": (path) => mkdirSync(path),
  "a pipe": (path) => execFileSync("mkfifo", [path]),
  "a socket": (path) =>
    new Promise((resolve) => {
      const server = createServer().listen(path, () => resolve(server));
      onTestFinished(() => void server.close());
    }),
  ...(isRoot && { "a device": (path) => execFileSync("mknod", [path, "c", "1", "3"]) }),
};

describe("what stands at the path", () => {
  test("a link stays, and the file that it leads to is replaced", async () => {
    const [folder, elsewhere] = [temporaryFolder(), temporaryFolder()];
    writeFileSync(join(elsewhere, "file"), "before");
    symlinkSync(join(elsewhere, "file"), join(elsewhere, "second"));
    // The second link is relative to where the first leads.
    symlinkSync("file", join(elsewhere, "relative"));
    symlinkSync(join(elsewhere, "relative"), join(folder, "link"));
    await save(join(folder, "link"), "after");
    expect(readFileSync(join(elsewhere, "file"), "utf8")).toBe("after");
    expect(readlinkSync(join(folder, "link"))).toBe(join(elsewhere, "relative"));
    expect(readlinkSync(join(elsewhere, "relative"))).toBe("file");
    expect([readdirSync(folder), readdirSync(elsewhere).length]).toEqual([["link"], 3]);
  });

  test("a link that leads nowhere yet makes the file that it leads to", async () => {
    const folder = temporaryFolder();
    symlinkSync("file", join(folder, "link"));
    await save(join(folder, "link"), "first");
    expect(lstatSync(join(folder, "link")).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(folder, "file"), "utf8")).toBe("first");
  });

  test("links in a circle are refused", async () => {
    const folder = temporaryFolder();
    symlinkSync("b", join(folder, "a"));
    symlinkSync("a", join(folder, "b"));
    await expectError("USAGE", () => save(join(folder, "a"), ""), "circle");
    await expectError("USAGE", () => read(join(folder, "a")), "circle");
  });

  test.each(Object.entries(OTHERS))("%s is neither replaced nor waited for", async (kind, make) => {
    const folder = temporaryFolder();
    await make(join(folder, "it"));
    symlinkSync("it", join(folder, "link"));
    const { ino, mode } = lstatSync(join(folder, "it"));
    for (const name of ["it", "link"]) {
      await expectError("USAGE", () => save(join(folder, name), "text"), join(folder, name), kind, "the path of a file");
      await expectError("USAGE", () => read(join(folder, name)), join(folder, name), kind, "the path of a file");
    }
    expect(lstatSync(join(folder, "it"))).toMatchObject({ ino, mode });
    expect(readdirSync(folder).sort()).toEqual(["it", "link"]);
  });

  test.each([0o600, 0o640, 0o444, 0o664])(
    "a file of mode %o keeps it, and is readable to no one else while it is written",
    async (mode) => {
      const folder = temporaryFolder();
      const path = join(folder, "file");
      writeFileSync(path, "before");
      chmodSync(path, mode);
      await writeAside(path, "the file", async (file) => {
        const [aside] = readdirSync(folder).filter((name) => name !== "file") as [string];
        expect(modeOf(join(folder, aside))).toBe(0o600);
        await file.writeFile("after");
      });
      expect([modeOf(path), readFileSync(path, "utf8")]).toEqual([mode, "after"]);
    },
  );

  test("a new file follows the umask", async () => {
    const before = process.umask(0o027);
    onTestFinished(() => void process.umask(before));
    const path = join(temporaryFolder(), "file");
    await save(path, "text");
    expect(modeOf(path)).toBe(0o640);
  });

  test("another hard link to the file keeps what it held", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "file"), "before");
    linkSync(join(folder, "file"), join(folder, "other"));
    await save(join(folder, "file"), "after");
    expect(["file", "other"].map((name) => readFileSync(join(folder, name), "utf8"))).toEqual(["after", "before"]);
  });
});

describe.skipIf(!isRoot)("other users (needs root)", () => {
  test("root keeps a file's owner and group", async () => {
    const path = join(temporaryFolder(), "file");
    writeFileSync(path, "before", { mode: 0o640 });
    chownSync(path, OTHER, OTHER);
    await save(path, "after");
    expect(statSync(path)).toMatchObject({ uid: OTHER, gid: OTHER });
    expect(modeOf(path)).toBe(0o640);
  });

  test("where the group cannot be kept, the new one may no more than others", async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o777);
    writeFileSync(join(folder, "file"), "before");
    chmodSync(join(folder, "file"), 0o664);
    becomeOther();
    await save(join(folder, "file"), "after");
    expect(statSync(join(folder, "file"))).toMatchObject({ uid: OTHER, gid: OTHER });
    expect(modeOf(join(folder, "file"))).toBe(0o644);
  });

  test.each([0o1777, 0o777])(
    "in a folder for everyone (mode %o), neither a link nor a file of another user's is followed or replaced",
    async (mode) => {
      const [folder, own] = [temporaryFolder(), temporaryFolder()];
      chmodSync(folder, mode);
      writeFileSync(join(own, "precious"), "mine");
      symlinkSync(join(own, "precious"), join(folder, "link"));
      lchownSync(join(folder, "link"), OTHER, OTHER);
      writeFileSync(join(folder, "file"), "theirs", { mode: 0o666 });
      chownSync(join(folder, "file"), OTHER, OTHER);
      for (const name of ["link", "file"])
        await expectError(
          "USAGE",
          () => save(join(folder, name), "secret"),
          join(folder, name),
          "another user",
          "a folder of your own",
        );
      expect(readFileSync(join(own, "precious"), "utf8")).toBe("mine");
      expect(readFileSync(join(folder, "file"), "utf8")).toBe("theirs");
      expect(readdirSync(folder).sort()).toEqual(["file", "link"]);
    },
  );

  test("a link of another user's is not followed in a folder of that user's either, nor any link that everyone may exchange", async () => {
    const [theirs, open, own] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
    writeFileSync(join(own, "precious"), "mine");
    for (const folder of [theirs, open]) symlinkSync(join(own, "precious"), join(folder, "link"));
    lchownSync(join(theirs, "link"), OTHER, OTHER);
    chownSync(theirs, OTHER, OTHER);
    chmodSync(open, 0o777);
    await expectError("USAGE", () => save(join(theirs, "link"), "secret"), "a link that belongs to another user");
    await expectError("USAGE", () => save(join(open, "link"), "secret"), "everyone may exchange");
    expect(readFileSync(join(own, "precious"), "utf8")).toBe("mine");
  });

  test("a folder that may not be written names itself, and a file that may not be read", async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, "file"), "before", { mode: 0o600 });
    becomeOther();
    await expectError("USAGE", () => save(join(folder, "file"), "after"), `the folder ${folder}`, "permissions");
    await expectError("USAGE", () => read(join(folder, "file")), join(folder, "file"), "permissions");
  });
});

describe("names", () => {
  test("a name of 255 bytes is one, of 256 no longer", async () => {
    const folder = temporaryFolder();
    await save(join(folder, `${"ö".repeat(127)}n`), "text");
    expect(await read(join(folder, `${"ö".repeat(127)}n`))).toBe("text");
    await expectError("USAGE", () => save(join(folder, "n".repeat(256)), ""), "255 bytes", "shorter");
    await expectError("USAGE", () => read(join(folder, "n".repeat(256))), "255 bytes", "shorter");
  });

  test.each([
    ["empty", "", "is empty"],
    ["with NUL", "a\0b", "NUL"],
    ["undefined", undefined, "undefined"],
    ["a number", 5, "5"],
    ["a folder's", "none/", "a folder"],
  ])("a path that is %s is refused in words", async (_, path, words) => {
    await expectError("USAGE", () => save(path as string, ""), words);
    if (path !== "none/") await expectError("USAGE", () => read(path as string), words);
  });

  test("a folder that is not there, or is a file, is named", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "file"), "");
    await expectError("USAGE", () => save(join(folder, "none", "file"), ""), join(folder, "none"), "make it");
    await expectError("USAGE", () => save(join(folder, "file", "file"), ""), join(folder, "file"), "no folder");
    await expectError("USAGE", () => read(join(folder, "none")), join(folder, "none"), "no file");
  });
});

/** As Node throws it. */
function refusal(code: string): Error {
  return Object.assign(new Error(`${code}: no, write`), { code, errno: -1, syscall: "write" });
}

describe("when the system says no", () => {
  test.each([
    ["ENOSPC", "no space", "make room"],
    ["EDQUOT", "your share", "make room"],
    ["EFBIG", "as large", "ulimit"],
    ["EROFS", "read only", "elsewhere"],
    ["EIO", "EIO", "a path elsewhere"],
  ])("%s while writing names the folder and a way out, and leaves what was there", async (code, why, wayOut) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "file"), "before");
    const write = async (file: FileHandle) => {
      await file.write("half of");
      throw refusal(code);
    };
    await expectError("USAGE", () => writeAside(join(folder, "file"), "the file", write), folder, why, wayOut);
    expect([readdirSync(folder), readFileSync(join(folder, "file"), "utf8")]).toEqual([["file"], "before"]);
  });

  test("a limit of the shell's is met as an error, and does not end the process", () => {
    const folder = temporaryFolder();
    const script = fileURLToPath(new URL("aside-process.mjs", import.meta.url));
    const limited = `ulimit -f 8; exec "$0" "$1" "$2" large`;
    const said = execFileSync("bash", ["-c", limited, process.execPath, script, join(folder, "file")], { encoding: "utf8" });
    expect(said).toMatch(/^USAGE could not save .*as large.*ulimit/);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("an error that is not the system's comes out as it is, and nothing is left aside", async () => {
    const folder = temporaryFolder();
    const write = () => Promise.reject(new TypeError("a fault"));
    await expect(writeAside(join(folder, "file"), "the file", write)).rejects.toThrow(TypeError);
    expect(readdirSync(folder)).toEqual([]);
  });
});
