// npm run pack: what a registry would get, under out/npm. `lossc` has no binary and names those of all platforms as optional packages, of which npm
// installs the one that fits; `@lossc/PLATFORM` holds the addon that this machine has built. `--platforms linux-x64-gnu,darwin-arm64` names those
// that there will be. `--check` (before every `npm pack`, which packs the package with the addon that lies in it) packs nothing, and fails where
// nothing was built.
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const BUILT = "build/Release/";
const PLATFORMS = ["linux-x64-gnu", "linux-x64-musl", "linux-arm64-gnu", "linux-arm64-musl", "darwin-x64", "darwin-arm64"];

function option(name) {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

/** npm's description of a folder that it packs. */
function npm(folder, ...args) {
  const said = execFileSync("npm", ["pack", "--json", "--ignore-scripts", ...args], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(said);
}

/** Packs a folder that has its package.json. Gives the path of the archive. */
function pack(folder, manifest, out) {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  const [{ filename, unpackedSize }] = npm(folder, "--pack-destination", out);
  console.log(`${join(out, filename)}: ${manifest.name}, ${(unpackedSize / 1e6).toFixed(1)} MB unpacked`);
}

/** The package without what is built for one platform. */
function packMain(folder, manifest, platforms, out) {
  const [{ files }] = npm(root, "--dry-run");
  for (const { path } of files) if (!path.startsWith(BUILT)) cpSync(join(root, path), join(folder, path));
  const { devDependencies: _, scripts: __, ...kept } = manifest;
  const optionalDependencies = Object.fromEntries(platforms.map((platform) => [`@lossc/${platform}`, manifest.version]));
  pack(folder, { ...kept, files: kept.files.filter((path) => !path.startsWith(BUILT)), optionalDependencies }, out);
}

/** The files that are built for this platform, by themselves. */
function packPlatform(folder, { version, license, engines, files }, platform, out) {
  const names = files
    .filter((path) => path.startsWith(BUILT) && existsSync(join(root, path)))
    .map((path) => path.slice(BUILT.length));
  for (const name of names) copyFileSync(join(root, BUILT, name), join(folder, name));
  copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  writeFileSync(
    join(folder, "README.md"),
    `The native addon of lossc ${version} for ${platform}. lossc installs and loads it by itself.\n`,
  );
  const [os, cpu, libc] = platform.split("-");
  const fits = { os: [os], cpu: [cpu], ...(libc && { libc: [libc === "gnu" ? "glibc" : libc] }) };
  pack(
    folder,
    {
      name: `@lossc/${platform}`,
      version,
      description: `The native addon of lossc for ${platform}.`,
      license,
      engines,
      ...fits,
      files: names,
    },
    out,
  );
}

function check() {
  for (const path of ["dist/index.js", `${BUILT}lossc.node`]) {
    if (existsSync(join(root, path))) continue;
    console.error(`pack: ${path} is missing; npm run build`);
    process.exit(1);
  }
}

check();
if (!process.argv.includes("--check")) {
  const { platformName } = await import("../dist/runtime/addon/platform.js");
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const out = option("--out") ?? join(root, "out", "npm");
  const work = mkdtempSync(join(tmpdir(), "lossc-pack-"));
  try {
    mkdirSync(out, { recursive: true });
    for (const name of ["main", "platform"]) mkdirSync(join(work, name));
    packMain(join(work, "main"), manifest, option("--platforms")?.split(",") ?? PLATFORMS, out);
    packPlatform(join(work, "platform"), manifest, platformName(), out);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
