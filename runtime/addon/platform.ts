/** The kind of this machine, in the names of prebuilt packages, and the kind that a binary is for. */
import { readFileSync } from "node:fs";

/** The platform that a binary must fit: `linux-x64-gnu`, `linux-arm64-musl`, `darwin-arm64`. */
export function platformName(): string {
  return [process.platform, process.arch, ...(process.platform === "linux" ? [libcOf(ownLibraries())] : [])].join("-");
}

/** The package with the addon for this machine. */
export function platformPackage(): string {
  return `@lossc/${platformName()}`;
}

/** The files that this process has mapped. A report of Node's would say the same, in fifty times as long. */
function ownLibraries(): string {
  try {
    return readFileSync("/proc/self/maps", "latin1");
  } catch {
    return "";
  }
}

function libcOf(text: string): "gnu" | "musl" {
  return /ld-musl-|libc\.musl-/.test(text) ? "musl" : "gnu";
}

/** `e_machine` of ELF, in Node's words. */
const ELF_MACHINES: Readonly<Record<number, string>> = {
  3: "ia32",
  21: "ppc64",
  22: "s390x",
  40: "arm",
  62: "x64",
  183: "arm64",
  243: "riscv64",
  258: "loong64",
};
/** `cputype` of Mach-O. */
const MACH_MACHINES: Readonly<Record<number, string>> = { 16777223: "x64", 16777228: "arm64" };

/** The kind of machine that a shared library is for, as {@link platformName} says it; null where the file is none, or does not say. */
export function builtFor(path: string): string | null {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch {
    return null;
  }
  if (file.length < 64) return null;
  if (file.readUInt32BE(0) === 0x7f454c46) {
    const machine = file[5] === 2 ? file.readUInt16BE(18) : file.readUInt16LE(18);
    return `linux-${ELF_MACHINES[machine] ?? `machine ${machine}`}-${libcOf(file.toString("latin1"))}`;
  }
  if (file.readUInt32BE(0) === 0xcffaedfe) return `darwin-${MACH_MACHINES[file.readUInt32LE(4)] ?? "unknown"}`;
  return file.toString("latin1", 0, 2) === "MZ" ? "win32" : null;
}
