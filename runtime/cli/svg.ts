/** Drawings: the packages that make them, which are not installed with lossc, and the files. */
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { packageRoot } from "../addon.js";
import { usage } from "./usage.js";

/** What `load` imports by `packages`; `USAGE` with the command that installs them where one is not there. */
export async function drawnBy<Module>(packages: readonly string[], load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ERR_MODULE_NOT_FOUND" || !packages.some((name) => message.includes(`'${name}'`))) throw error;
    const names = packages.join(" and ");
    throw usage(`--svg draws with ${names}, not installed with lossc: npm install ${packages.map(versioned).join(" ")}`, error);
  }
}

/** With the major version that lossc knows. */
function versioned(name: string): string {
  const { peerDependencies } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as {
    peerDependencies: Readonly<Record<string, string>>;
  };
  return `${name}@${/\d+/.exec(peerDependencies[name] ?? "")?.[0] ?? "latest"}`;
}

/** `USAGE` where the file of `--svg` cannot be written: before anything is computed for it. */
export function checkDrawing(path: string): void {
  try {
    accessSync(existsSync(path) ? path : dirname(resolve(path)), constants.W_OK);
  } catch (error) {
    throw unwritable(path, error);
  }
}

export function saveDrawing(path: string, svg: string): void {
  try {
    writeFileSync(path, svg);
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, error: unknown): Error {
  return usage(`--svg: ${path} cannot be written: ${(error as Error).message}`, error);
}
