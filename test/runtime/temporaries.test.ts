/** Files that were written aside by processes that have ended: what is removed, and above all what is not. */
import { spawn } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { writeAside } from "../../runtime/files/user-files.js";
import { temporaryFolder } from "./support.js";
import { isRoot, OTHER } from "./users.js";

const save = (path: string, text: string) => writeAside(path, "the file", (file) => file.writeFile(text));

describe("what a killed process has left aside", () => {
  /** A process that is in the middle of writing, and what it has put aside. */
  async function writing(folder: string) {
    const script = fileURLToPath(new URL("aside-process.mjs", import.meta.url));
    const child = spawn(process.execPath, [script, join(folder, "file"), "wait"], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((resolve) => void child.on("close", resolve));
    const kill = () => {
      child.kill("SIGKILL");
      return ended;
    };
    onTestFinished(() => void kill());
    await new Promise((resolve) => void child.stdout.once("data", resolve));
    const [aside] = readdirSync(folder).filter((name) => name.startsWith(".lossc-aside-")) as [string];
    return { kill, aside };
  }

  test("is removed by the next save into the folder, and not before it is dead", async () => {
    const folder = temporaryFolder();
    const { aside, kill } = await writing(folder);
    await save(join(folder, "file"), "while it lives");
    expect(existsSync(join(folder, aside))).toBe(true);
    await kill();
    expect(existsSync(join(folder, aside))).toBe(true);
    await save(join(folder, "other"), "after");
    expect(readdirSync(folder).sort()).toEqual(["file", "other"]);
  });

  test("is recognised by lossc's mark alone: a link, a folder, a file of another host or name stays", async () => {
    const folder = temporaryFolder();
    const { aside, kill } = await writing(folder);
    await kill();
    const [place, pid, start, random] = aside.split("-").slice(2) as [string, string, string, string];
    const named = (...parts: string[]) => `.lossc-aside-${parts.join("-")}`;
    const others = {
      link: named(place, pid, start, "000000000001"),
      folder: named(place, pid, start, "000000000002"),
      longer: `${aside}.txt`,
      shorter: named(place, pid, start),
      earlier: `.file.${pid}.8f14e45f-ceea-467f-a0e6-2b1c4a4d7d5e`,
      elsewhere: named("0123456789ab", pid, start, random),
      ours: named(place, String(process.pid), startOf(process.pid), random),
    };
    writeFileSync(join(folder, "thesis"), "precious");
    symlinkSync("thesis", join(folder, others.link));
    mkdirSync(join(folder, others.folder));
    for (const name of [others.longer, others.shorter, others.earlier, others.elsewhere, others.ours])
      writeFileSync(join(folder, name), "precious");
    const abandoned = {
      "of a number that is used again": named(place, String(process.pid), "1", random),
      "of another host, for two days": named("0123456789ab", pid, "1", random),
    };
    for (const name of Object.values(abandoned)) writeFileSync(join(folder, name), "half");
    const old = Date.now() / 1000 - 2 * 24 * 3600;
    utimesSync(join(folder, abandoned["of another host, for two days"]), old, old);
    // Old, but of a process that lives.
    utimesSync(join(folder, others.ours), old, old);
    await save(join(folder, "file"), "text");
    expect(readdirSync(folder).sort()).toEqual(["file", "thesis", ...Object.values(others)].sort());
  });

  test.skipIf(!isRoot)("stays where it is another user's (needs root)", async () => {
    const folder = temporaryFolder();
    const { aside, kill } = await writing(folder);
    await kill();
    chownSync(join(folder, aside), OTHER, OTHER);
    await save(join(folder, "file"), "text");
    expect(readdirSync(folder)).toContain(aside);
  });
});

function startOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] as string;
}
