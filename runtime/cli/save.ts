/** Files that an option asks for. */
import { accessSync, constants, statSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { writeAside } from "../files/user-files.js";
import { usage } from "./usage.js";

/** Writes a file whole: one that was there is kept where that fails. `USAGE` with the option's name where it cannot be written. */
export async function save(option: string, path: string, text: string): Promise<void> {
  // The system's own, such as /dev/stdout, are written to rather than replaced.
  if (isDevice(path)) refusing(option, path, () => writeFileSync(path, text));
  else await writeAside(path, `the file of ${option}`, (file) => file.writeFile(text));
}

/** `USAGE` where {@link save} could not write. Called before minutes are spent on the result. */
export function requireWritable(option: string, path: string): void {
  refusing(option, path, () => {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.isDirectory()) throw new Error("it is a folder");
    accessSync(isDevice(path) ? path : dirname(resolve(path)), constants.W_OK);
  });
}

const isDevice = (path: string) => resolve(path).startsWith("/dev/");

function refusing(option: string, path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw usage(`${option}: ${path} cannot be written: ${(error as Error).message}`, error);
  }
}
