// The content of the bundle beside build outputs: files of the checkout, and the packages that the command line and the tests need.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Of package.json: what only building and checking the sources needs. */
const BUILDING = ["node-addon-api", "node-api-headers"];
/** Of its devDependencies: what tests need. */
const TESTING = ["vitest", "fast-check"];

/** Every file that git knows. */
export function sourceFiles(root) {
  return execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" })
    .split("\0")
    .filter((file) => file !== "" && existsSync(join(root, file)));
}

/** Folders of node_modules, with all that the packages in them need. Optional ones count where they are installed. */
export function packageFolders(root) {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const wanted = new Set();
  /** As Node resolves: in the package's own node_modules, then outwards. */
  const find = (name, from) => {
    for (
      let at = from;
      ;
      at = at.includes("node_modules/") ? at.slice(0, at.lastIndexOf("node_modules/")).replace(/\/$/, "") : null
    ) {
      if (at === null) return null;
      const path = `${at === "" ? "" : `${at}/`}node_modules/${name}`;
      if (packages[path] && existsSync(join(root, path))) return path;
    }
  };
  const add = (name, from) => {
    const path = find(name, from);
    if (path === null || wanted.has(path)) return;
    wanted.add(path);
    const { dependencies, optionalDependencies, peerDependencies } = packages[path];
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) add(needed, path);
  };
  const top = packages[""];
  // The optional peers draw charts and pictures.
  const running = Object.keys({ ...top.dependencies, ...top.peerDependencies }).filter((name) => !BUILDING.includes(name));
  for (const name of [...running, ...TESTING]) add(name, "");
  // A folder brings those inside of it along.
  const inside = (path) => [...wanted].some((other) => path.startsWith(`${other}/`));
  return [...wanted].filter((path) => !path.includes("/@types/") && !inside(path)).sort();
}
