/** Folders that only one user can change. */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** The error of a folder that cannot be used, for example because another user owns it. The message has the folder and the reason. */
export class StorageError extends Error {}

/** Bits of a mode by which others than the owner may write. */
const OTHERS_WRITE = 0o022;
/** Bit of a folder in which only the owner of a thing may rename or remove it, as in `/tmp`. */
export const STICKY = 0o1000;

/**
 * A folder that belongs to the user whose process this is, and that nobody else may write to. What lies in it was put there by this user, so it may
 * be run as code.
 *
 * The folder is opened first and checked then, and everything in it is reached through the open descriptor: whoever may rename the folders above it
 * can put something else in its place, and changes nothing for a process that holds it. Where the system has no path through a descriptor
 * (`/proc/self/fd`), the folders above must be such that nobody else can rename anything in them.
 */
export class OwnFolder {
  /** Whoever still works in a folder holds it, and with it its descriptor. */
  static readonly #forgotten = new FinalizationRegistry<number>((descriptor) => closeSync(descriptor));

  private constructor(
    /** For people. */
    readonly path: string,
    private readonly reach: string,
    private readonly descriptor: number,
  ) {
    OwnFolder.#forgotten.register(this, descriptor, this);
  }

  /**
   * The folder of that name, which may not be a link. Throws {@link StorageError} where others own it or may write to it, and the system's errors.
   * Without `throughDescriptors` its own path is used, as programs need it that are given it.
   */
  static open(path: string, { throughDescriptors = true } = {}, shown = path): OwnFolder {
    const descriptor = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      const stats = fstatSync(descriptor);
      refuseOthers(shown, stats);
      const held = `/proc/self/fd/${descriptor}`;
      if (throughDescriptors && existsSync(held)) return new OwnFolder(shown, held, descriptor);
      const real = realpathSync(path);
      if (!isSame(lstatSync(real), stats)) throw new StorageError(`${path} was exchanged while it was opened`);
      refuseExchange(dirname(real));
      return new OwnFolder(shown, real, descriptor);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /**
   * A path that functions of `node:fs` take, and programs that are started by this process as their working folder; no other program understands it.
   */
  at(...names: readonly string[]): string {
    return join(this.reach, ...names);
  }

  /** A folder in this one. */
  inner(name: string): OwnFolder {
    return OwnFolder.open(this.at(name), {}, join(this.path, name));
  }

  /** Makes an empty folder for this user alone. */
  make(name: string): void {
    mkdirSync(this.at(name), { mode: 0o700 });
  }

  /** Whether the folder's path still leads to it. */
  isInPlace(): boolean {
    try {
      return isSame(lstatSync(this.path), fstatSync(this.descriptor));
    } catch {
      return false;
    }
  }

  /** Whether there is anything of that name. */
  has(name: string): boolean {
    try {
      lstatSync(this.at(name));
      return true;
    } catch {
      return false;
    }
  }

  /** The system's description of the entry of that name. For a link it describes the link, not its target. */
  stats(name: string): { readonly uid: number; readonly mtimeMs: number } {
    return lstatSync(this.at(name));
  }

  names(): string[] {
    return readdirSync(this.reach);
  }

  /** The content of a plain file, by a descriptor of its own. */
  read(name: string): Uint8Array {
    const descriptor = openSync(this.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stats = fstatSync(descriptor);
      if (!stats.isFile()) throw new StorageError(`${join(this.path, name)} is no plain file`);
      refuseOthers(join(this.path, name), stats);
      return readFileSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  readText(name: string): string {
    return new TextDecoder().decode(this.read(name));
  }

  /** Writes a file that was not there, for this user's eyes only. */
  write(name: string, content: string | Uint8Array): void {
    writeFileSync(this.at(name), content, { flag: "wx", mode: 0o600 });
  }

  /** Takes a file that another program made here for one of this folder's own: nobody else may write to it. */
  adopt(name: string): void {
    const descriptor = openSync(this.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      fchmodSync(descriptor, 0o600);
    } finally {
      closeSync(descriptor);
    }
  }

  /** In one step: readers find the old or the new. */
  rename(from: string, to: string): void {
    renameSync(this.at(from), this.at(to));
  }

  /** Removes what is in it; links are removed, not followed. */
  remove(name: string): void {
    rmSync(this.at(name), { recursive: true, force: true });
  }

  /** Removes the folder with all that is in it. Another that stands in its place by now stays. */
  destroy(): void {
    for (const name of this.names()) this.remove(name);
    if (this.isInPlace()) rmdirSync(this.path);
    this.close();
  }

  /** Lets go of the folder. What was got from `at` means nothing afterwards. */
  close(): void {
    OwnFolder.#forgotten.unregister(this);
    closeSync(this.descriptor);
  }
}

function isSame(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

function refuseOthers(path: string, { uid, mode }: Stats): void {
  const me = process.geteuid?.();
  if (me === undefined) return;
  if (uid !== me) throw new StorageError(`${path} belongs to the user ${uid}, and this process runs as ${me}`);
  if ((mode & OTHERS_WRITE) !== 0) throw new StorageError(`others may write to ${path}`);
}

/** Throws {@link StorageError} where somebody else can exchange what stands in a folder, or the folder itself. `folder` has no links in it. */
export function refuseExchange(folder: string): void {
  refuseRenamers(folder);
  if (dirname(folder) !== folder) refuseExchange(dirname(folder));
}

/** Whoever may write to a folder can exchange its entries. */
function refuseRenamers(folder: string): void {
  const { uid, mode } = lstatSync(folder);
  if (uid !== 0 && uid !== process.geteuid?.()) throw new StorageError(`${folder}, above it, belongs to the user ${uid}`);
  if ((mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0) throw new StorageError(`others may write to ${folder}, above it`);
}
