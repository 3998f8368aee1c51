/**
 * The folder that a build is written to. What is built is written aside in it and moved into place at the end, so that a build that fails or is ended
 * leaves what lay there before, and nothing else.
 */
import { constants, lstatSync, mkdirSync, realpathSync, renameSync, rmdirSync, statSync } from "node:fs";
import { access, lstat, mkdir, realpath, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LosscError } from "../../dsl/errors.js";
import type { OwnFolder } from "../files/own-folder.js";
import { makeTemporaryFolder } from "../files/temporaries.js";
import { checkOwner, mayEveryoneWrite } from "../files/user-files.js";

/** How names of folders begin in which builds lie aside. */
const ASIDE = ".lossc-build-";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export class Output {
  /** Paths relative to the folder that are moved as a whole: files, and folders of entries. */
  readonly #units: string[] = [];
  #removeListeners = () => {};
  #keepsOld = false;
  #isClosed = false;

  private constructor(
    /** Absolute, without symbolic links. */
    readonly folder: string,
    private readonly aside: OwnFolder,
    /** Folders that were made on the way to the output, the innermost first. */
    private readonly made: readonly string[],
  ) {}

  /** Makes the folder where it is not there. `USAGE` where nothing can be written to it. */
  static async open(out: string): Promise<Output> {
    const made = await missingFolders(out);
    try {
      mkdirSync(out, { recursive: true });
      const folder = realpathSync(out);
      refusePublic(folder);
      const output = new Output(folder, makeTemporaryFolder(folder, ASIDE), made);
      output.#listen();
      return output;
    } catch (error) {
      removeEmpty(made);
      throw unwritable(out, error);
    }
  }

  /** Writes a file aside. `USAGE` where it could not be moved into place. */
  async write(path: string, data: string | Uint8Array): Promise<void> {
    await this.#writeUnit(path, { "": data });
  }

  /** Writes files aside that are moved into place as one folder. */
  async writeFolder(path: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
    await this.#writeUnit(path, files);
  }

  async #writeUnit(path: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
    await this.check(path, "" in files ? "file" : "folder");
    try {
      for (const [name, data] of Object.entries(files)) {
        const file = this.aside.at("new", path, name);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, data);
      }
    } catch (error) {
      throw unwritable(join(this.folder, path), error);
    }
    this.#units.push(path);
  }

  /** `USAGE` where a path could not be written, which is to be found before compilers run for minutes, not after. */
  async check(path: string, as: "file" | "folder"): Promise<void> {
    const target = join(this.folder, path);
    try {
      await this.#checkOwners(path);
      const there = await stat(target).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return null;
        throw error;
      });
      if (there && there.isDirectory() !== (as === "folder"))
        throw new Error(as === "folder" ? "there is something else than a folder" : "there is a folder");
      const [outermost = target] = (await missingFolders(dirname(target))).slice(-1);
      await access(dirname(outermost), constants.W_OK | constants.X_OK);
    } catch (error) {
      throw unwritable(target, error);
    }
  }

  /** Refuses a path that another user could exchange, on the way to it or at its end. */
  async #checkOwners(path: string): Promise<void> {
    let at = this.folder;
    for (const name of path.split("/")) {
      at = join(at, name);
      const there = await lstat(at).catch(() => null);
      if (there === null) return;
      await checkOwner(at, there);
      if (there.isDirectory()) refusePublic(at);
    }
  }

  /** Moves everything into place. Where that fails, what was there before is there again. */
  async commit(): Promise<void> {
    const undo: (() => void)[] = [];
    const move = (from: string, to: string) => {
      renameSync(from, to);
      undo.push(() => renameSync(to, from));
    };
    // Files are exchanged in reverse order, binaries first, so that a module finds its binaries at every moment.
    const units = [...new Set(this.#units)].reverse();
    const places = await Promise.all(units.map((path) => placeOf(join(this.folder, path))));
    const missing = await Promise.all(places.map((place) => missingFolders(dirname(place))));
    let at = this.folder;
    try {
      // No signal is heard before the last of them.
      for (const [i, path] of units.entries()) {
        at = places[i] as string;
        const folders = missing[i] as string[];
        undo.push(() => removeEmpty(folders));
        mkdirSync(dirname(at), { recursive: true });
        const before = this.aside.at("old", path);
        mkdirSync(dirname(before), { recursive: true });
        if (folders.length === 0 && ifThere(() => move(at, before))) refuseOthersFolder(at, before);
        move(this.aside.at("new", path), at);
      }
    } catch (error) {
      try {
        for (const step of undo.reverse()) step();
      } catch {
        this.#keepsOld = true;
        throw unwritable(at, error, `; what lay there before and could not be put back is in ${join(this.aside.path, "old")}`);
      }
      throw unwritable(at, error);
    }
    this.#close();
  }

  /** Leaves the folder as it was found. */
  discard(): void {
    this.#close();
    removeEmpty(this.made);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#removeListeners();
    if (this.#keepsOld) this.aside.close();
    else this.aside.destroy();
  }

  #listen(): void {
    const atExit = () => this.discard();
    const atSignal = (signal: NodeJS.Signals) => {
      this.discard();
      process.kill(process.pid, signal);
    };
    process.once("exit", atExit);
    for (const signal of SIGNALS) process.once(signal, atSignal);
    this.#removeListeners = () => {
      process.off("exit", atExit);
      for (const signal of SIGNALS) process.off(signal, atSignal);
    };
  }
}

/** Where a path is really written to: a symbolic link stays one. */
async function placeOf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

/** The folders on the way to `path`, itself among them, that are not there; the innermost first. */
async function missingFolders(path: string): Promise<string[]> {
  const missing: string[] = [];
  for (let folder = path; ; folder = dirname(folder)) {
    const isThere = await stat(folder).then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code !== "ENOENT" && error.code !== "ENAMETOOLONG",
    );
    if (isThere || dirname(folder) === folder) return missing;
    missing.push(folder);
  }
}

/** Removes folders that hold nothing. */
function removeEmpty(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      rmdirSync(folder);
    } catch {
      // It was never made, or somebody else has put something into it.
    }
  }
}

function ifThere(move: () => void): boolean {
  try {
    move();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return false;
  }
}

/** The output is executed later, so nobody else may write to it. */
function refusePublic(folder: string): void {
  if (mayEveryoneWrite(statSync(folder)))
    throw new Error(
      `everyone may write to ${folder}, and what is built there is run; give a folder of your own, or change its mode`,
    );
}

/** Who owns a folder changes it while it is removed. `moved`: where it lies now. */
function refuseOthersFolder(path: string, moved: string): void {
  const there = lstatSync(moved);
  if (there.isDirectory() && there.uid !== (process.geteuid?.() ?? there.uid))
    throw new Error(`${path} belongs to another user (${there.uid}); remove it first, or build as that user`);
}

function unwritable(path: string, error: unknown, more = ""): LosscError {
  const problem = error instanceof Error ? error.message : String(error);
  const message = `--out: ${path} cannot be written: ${problem}; make room for it there, or choose another --out${more}`;
  return new LosscError("USAGE", message, { cause: error });
}
