/** Files that an option asks for. */
import { accessSync, constants, realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { usage } from "./usage.js";

/** Writes a file whole: one that was there is kept where that fails. `USAGE` with the option's name where it cannot be written. */
export function save(option: string, path: string, text: string): void {
  refusing(option, path, () => {
    // What is no file, say /dev/stdout, is written to rather than replaced.
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) return writeFileSync(path, text);
    // A symbolic link stays one.
    const file = statSync(path, { throwIfNoEntry: false }) ? realpathSync(path) : path;
    const part = `${file}.part`;
    try {
      writeFileSync(part, text);
      renameSync(part, file);
    } catch (error) {
      rmSync(part, { force: true });
      throw error;
    }
  });
}

/** `USAGE` where {@link save} could not write, before minutes are spent on what it is to write. */
export function requireWritable(option: string, path: string): void {
  refusing(option, path, () => {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.isDirectory()) throw new Error("it is a folder");
    accessSync(there === undefined || there.isFile() ? dirname(resolve(path)) : path, constants.W_OK);
  });
}

function refusing(option: string, path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw usage(`${option}: ${path} cannot be written: ${(error as Error).message}`, error);
  }
}
