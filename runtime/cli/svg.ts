/** Drawings: the packages that make them, which are not installed with lossc. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../addon/addon.js";
import { usage } from "./usage.js";

/** The module that `load` imports, which needs `packages`; `USAGE` with the command that installs them where one is missing. */
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
