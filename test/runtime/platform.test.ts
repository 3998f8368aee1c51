/** The kind of machine that a binary is for, read from the binary. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadAddon } from "../../runtime/addon/addon.js";
import { builtFor, platformName, platformPackage } from "../../runtime/addon/platform.js";
import { temporaryFolder } from "./support.js";

test("the addon that loads here is for this kind of machine", () => {
  expect(platformName()).toMatch(/^(linux-\w+-(gnu|musl)|darwin-\w+)$/);
  expect(platformPackage()).toBe(`@lossc/${platformName()}`);
  expect(builtFor(loadAddon().path)).toBe(platformName());
});

test("binaries of other systems, processors and C libraries are distinguished, and other files are none", () => {
  const file = join(temporaryFolder(), "lossc.node");
  const kind = (write: (bytes: Buffer) => void) => {
    const bytes = Buffer.alloc(256);
    write(bytes);
    writeFileSync(file, bytes);
    return builtFor(file);
  };
  const elf = (machine: number, libc: string) => (bytes: Buffer) => {
    bytes.write("\x7fELF\x02\x01\x01", "latin1");
    bytes.writeUInt16LE(machine, 18);
    bytes.write(libc, 100);
  };
  expect(kind(elf(62, "libc.so.6"))).toBe("linux-x64-gnu");
  expect(kind(elf(183, "libc.so.6"))).toBe("linux-arm64-gnu");
  expect(kind(elf(183, "libc.musl-aarch64.so.1"))).toBe("linux-arm64-musl");
  expect(kind(elf(9999, "libc.so.6"))).toBe("linux-machine 9999-gnu");
  expect(kind((bytes) => void bytes.write("cffaedfe0c000001", "hex"))).toBe("darwin-arm64");
  expect(kind((bytes) => void bytes.write("cffaedfe07000001", "hex"))).toBe("darwin-x64");
  expect(kind((bytes) => void bytes.write("MZ"))).toBe("win32");
  expect(kind((bytes) => void bytes.write("<html>"))).toBeNull();
  writeFileSync(file, "\x7fELF");
  expect(builtFor(file)).toBeNull();
  expect(builtFor(join(file, "none"))).toBeNull();
});
