/** lossc as `npm pack` makes it, unpacked into a project of its own, beside the packages that an install would bring. */
import { execFileSync, type SpawnSyncReturns, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

interface LockedPackage {
  readonly dev?: true;
  readonly resolved?: string;
}

/** Entries of package-lock.json, by the folder of each package. */
export function lockedPackages(): Record<string, LockedPackage> {
  const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
  delete packages[""];
  return packages;
}

/** Folders of the packages that an install of lossc brings. */
export function productionFolders(): string[] {
  return Object.entries(lockedPackages()).flatMap(([folder, { dev }]) => (dev ? [] : [folder]));
}

/** An empty folder; the caller removes it. */
export function scratch(): string {
  return mkdtempSync(join(tmpdir(), "lossc-packages-"));
}

/** Packs this checkout as it is built. Gives the path of the archive. */
export function packInto(folder: string): string {
  const args = ["pack", "--json", "--pack-destination", folder];
  const said = execFileSync("npm", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const [{ filename }] = JSON.parse(said.slice(said.indexOf("["))) as [{ filename: string }];
  return join(folder, filename);
}

export function filesOf(archive: string): string[] {
  const list = execFileSync("tar", ["-tzf", archive], { encoding: "utf8" });
  return list.split("\n").flatMap((line) => (line.startsWith("package/") ? [line.slice("package/".length)] : []));
}

/** Unpacks an archive of npm's as it would lie in `node_modules` of a project. */
export function unpack(archive: string, project: string, name: string): string {
  const folder = join(project, "node_modules", name);
  mkdirSync(folder, { recursive: true });
  execFileSync("tar", ["-xzf", archive, "-C", folder, "--strip-components=1"]);
  return folder;
}

/** Links what lossc depends on into a project, from this checkout. */
export function linkDependencies(project: string): void {
  for (const folder of productionFolders()) {
    if (folder.lastIndexOf("node_modules/") > 0) continue; // lies in another
    mkdirSync(dirname(join(project, folder)), { recursive: true });
    symlinkSync(join(ROOT, folder), join(project, folder));
  }
}

/** A project with nothing but lossc in it, removed after the test. */
export function project(archive: string, files: Readonly<Record<string, string>> = {}): string {
  const folder = scratch();
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  unpack(archive, folder, "lossc");
  linkDependencies(folder);
  for (const [name, text] of Object.entries({ "package.json": "{}", ...files })) writeFileSync(join(folder, name), text);
  return folder;
}

/** Runs Node in a project with the project's own addon, not that of the tests. */
export function node(
  cwd: string,
  args: readonly string[],
  { env, input = "" }: { readonly env?: Readonly<Record<string, string>>; readonly input?: string } = {},
): SpawnSyncReturns<string> {
  const { LOSSC_ADDON: _, ...inherited } = process.env;
  return spawnSync(process.execPath, args, { cwd, encoding: "utf8", input, env: { ...inherited, ...env } });
}

/** The command line of the lossc in a project. */
export function cli(cwd: string, args: readonly string[], options?: Parameters<typeof node>[2]): SpawnSyncReturns<string> {
  return node(cwd, [join(cwd, "node_modules", "lossc", "dist", "runtime", "cli", "main.js"), ...args], options);
}
