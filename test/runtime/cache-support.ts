/** Helpers of the cache's tests: requests that compile nothing, and the layout of the folder. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CacheRequest } from "../../runtime/cache/index.js";
import { MARK, temporaryName } from "../../runtime/files/temporaries.js";

/** A request that "compiles" by copying; `builds` counts how often. */
export function request(key: string, text = "source"): CacheRequest & { builds: number } {
  const made = {
    key,
    source: { file: "kernel.txt", text },
    binary: "kernel.bin",
    about: { compiler: "copy" },
    builds: 0,
    async build(folder: string) {
      made.builds++;
      await sleep(20);
      await writeFile(join(folder, "kernel.bin"), `binary of ${readFileSync(join(folder, "kernel.txt"), "utf8")}`);
    },
  };
  return made;
}

/** A name as a process that has ended since would have given it. */
export function abandonedName(prefix: string): string {
  return temporaryName(prefix).replace(`-${process.pid}-`, `-${spawnSync("true").pid}-`);
}

export const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** lossc's folder in the one that the user names. */
export const kernels = (root: string) => join(root, "lossc-kernels");

/** Names in lossc's folder, but for those by which it is known. */
export const names = (root: string) =>
  readdirSync(kernels(root))
    .filter((name) => name !== "CACHEDIR.TAG" && name !== MARK)
    .sort();

/** Folders of compilations that did not end. */
export const leftovers = (root: string) => names(root).filter((name) => name.startsWith("building-"));
