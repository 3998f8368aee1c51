/**
 * The format of one compiled kernel on disk: a folder with the readable source, the binary, and `entry.json`, which describes the binary and has its
 * digest.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";

/** The file that describes a binary. */
const ENTRY = "entry.json";

/** The key and source of an entry. */
export interface EntryNames {
  readonly key: string;
  readonly source: { readonly file: string };
  /** Name of the binary's file. */
  readonly binary: string;
}

export interface CacheEntry {
  readonly key: string;
  /** Path of the binary, for messages. Another file may have replaced it by now. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Path of the readable text. */
  readonly source: string;
  /** Whether this call made it. */
  readonly built: boolean;
  /** The content of its `entry.json`. */
  readonly about: Readonly<Record<string, unknown>>;
}

/** The folder of an entry. The reader decides whom to trust. */
interface EntryFolder {
  readonly path: string;
  read(name: string): Uint8Array;
}

/**
 * The entry of a key, if it is complete. It is read synchronously, the one place where the event loop waits for a disk. The files are small, and a
 * dozen trips to the thread pool can take longer than the reading.
 */
export function readEntry(folder: EntryFolder, { key, source, binary }: EntryNames): CacheEntry | null {
  try {
    const about = JSON.parse(new TextDecoder().decode(folder.read(ENTRY))) as Record<string, unknown>;
    const bytes = folder.read(binary);
    // An entry that was copied to the place of another is complete, but has another key.
    if (about.key !== key || about.sha256 !== digest(bytes)) return null;
    return { key, path: join(folder.path, binary), bytes, source: join(folder.path, source.file), built: false, about };
  } catch {
    return null;
  }
}

/** The file that makes a folder an entry; it is written last. */
export function entryFile(
  { key, binary }: Omit<EntryNames, "source">,
  bytes: Uint8Array,
  about: Readonly<Record<string, unknown>>,
): { readonly name: string; readonly text: string; readonly about: Readonly<Record<string, unknown>> } {
  const entry = { ...about, key, binary, sha256: digest(bytes), bytes: bytes.length };
  return { name: ENTRY, text: `${JSON.stringify(entry, null, 2)}\n`, about: entry };
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
