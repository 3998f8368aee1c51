/** The headers of state files: what is written, and what is read of the file before any tensor is. */
import type { FileHandle } from "node:fs/promises";
import { LosscError } from "../../dsl/errors.js";
import { readAt } from "../files/user-files.js";
import { isShape, numbersOf, type PolicyState } from "./policy.js";

/** Of a file in safetensors: what its metadata say it is. */
const FORMAT = "lossc-state";
const VERSION = "2";

/** Version 1 was a format of lossc's own: a line with the length of a header and a digest, the header, the tensors in its order. */
const FIRST_LINE = /^lossc-state (\d+) (\d+) ([0-9a-f]{64})\n$/;
const LONGEST_LINE = 160;

/** Bytes before the header of a safetensors file: its length. */
const LENGTH_BYTES = 8;

/** Of the header alone, with room for a hundred thousand tensors: what is no state can claim any length. */
const MAX_HEADER = 16 * 2 ** 20;

/** Stands for the digest while it is not known, and where it is itself hashed. */
const NO_DIGEST = "0".repeat(64);

/** Where in the file a tensor lies: `begin` in bytes from its first, `length` in numbers. */
export interface Place {
  readonly name: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly length: number;
}

/** The content of a header. */
export interface Layout {
  readonly step: number;
  /** In the order of the file, without a gap, to its end. */
  readonly tensors: readonly Place[];
  /** Of `hashed` and, after it, all tensors. */
  readonly digest: string;
  readonly hashed: Uint8Array;
}

/** The header that a state is written with. */
export interface WrittenHeader {
  /** All before the first tensor, with zeros for the digest. */
  readonly hashed: Uint8Array;
  withDigest(digest: string): Uint8Array;
}

/** The tensors lie in the order in which the state names them. `USAGE` where a name cannot stand in the file. */
export function headerOf({ step, tensors }: PolicyState): WrittenHeader {
  let end = 0;
  const entries = Object.entries(tensors).map(([name, { shape, data }]) => {
    checkName(name);
    const begin = end;
    end += data.byteLength;
    return [name, { dtype: "F32", shape, data_offsets: [begin, end] }];
  });
  const metadata = { format: FORMAT, version: VERSION, step: String(step), sha256: NO_DIGEST };
  // From entries, as a tensor may be called __proto__.
  const text = JSON.stringify(Object.fromEntries([[METADATA, metadata], ...entries]));
  const unpadded = Buffer.byteLength(text);
  const hashed = Buffer.alloc(LENGTH_BYTES + 8 * Math.ceil(unpadded / 8), " ");
  if (hashed.length > MAX_HEADER)
    throw new LosscError(
      "USAGE",
      `names and shapes of the state's ${entries.length} tensors take ${hashed.length} bytes, more than ${MAX_HEADER}; give fewer tensors, or shorter names`,
    );
  hashed.writeBigUInt64LE(BigInt(hashed.length - LENGTH_BYTES));
  hashed.write(text, LENGTH_BYTES);
  return { hashed, withDigest: (digest) => exchange(hashed, NO_DIGEST, digest) };
}

const METADATA = "__metadata__";

function checkName(name: string): void {
  if (name === METADATA)
    throw new LosscError(
      "USAGE",
      `state() of the policy has a tensor "${METADATA}", which safetensors keeps for itself; give it another name`,
    );
  if (/\p{Surrogate}/u.test(name))
    throw new LosscError(
      "USAGE",
      `state() of the policy has a tensor ${JSON.stringify(name)}, which is no Unicode; give it another name`,
    );
}

/** The bytes with one text in place of another of the same length. The digest comes before all names that could hold one. */
function exchange(bytes: Buffer, text: string, other: string): Buffer {
  const copy = Buffer.from(bytes);
  const at = copy.indexOf(text);
  // Escaped in JSON, as nobody writes it, it is not found; it is then not what was hashed either.
  if (at >= 0) copy.write(other, at, "latin1");
  return copy;
}

/** Reads and checks the header, in either format. `USAGE` where the file is no whole state. */
export async function readLayout(path: string, file: FileHandle, size: number): Promise<Layout> {
  const first = Buffer.alloc(Math.min(size, LONGEST_LINE));
  if (size < LENGTH_BYTES || !(await readAt(file, first, 0))) throw damaged(path, "it is too short to be one");
  const isFirstFormat = first.toString("latin1").startsWith(`${FORMAT} `);
  try {
    return await (isFirstFormat ? readFirstFormat : readSafetensors)(path, file, size, first);
  } catch (cause) {
    if (cause instanceof SyntaxError) throw damaged(path, `its header does not read as one (${cause.message})`);
    throw cause;
  }
}

async function readSafetensors(path: string, file: FileHandle, size: number, first: Buffer): Promise<Layout> {
  const length = first.readBigUInt64LE();
  if (length > MAX_HEADER) throw damaged(path, "it does not begin as a safetensors file");
  const bytes = await headerBytes(path, file, size, LENGTH_BYTES, Number(length));
  const { [METADATA]: metadata, ...entries } = objectOf(path, JSON.parse(bytes.toString("utf8")));
  const { format, version, step, sha256 } = objectOf(path, metadata);
  if (format !== FORMAT) throw damaged(path, `its metadata do not say that it is "${FORMAT}"`);
  if (version !== VERSION) throw unknownVersion(path, version);
  if (typeof step !== "string" || !/^\d+$/.test(step)) throw damaged(path, "its header has no step");
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) throw damaged(path, "its header has no digest");
  const start = LENGTH_BYTES + bytes.length;
  const tensors = Object.entries(entries).map(([name, entry]) => {
    const { dtype, shape, data_offsets: offsets } = objectOf(path, entry);
    if (dtype !== "F32") throw damaged(path, `${name} is ${String(dtype)}, not F32`);
    const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as unknown[]) : [];
    const place = placeOf(path, name, shape, start + Number(begin));
    if (typeof begin !== "number" || start + (end as number) !== endOf(place))
      throw damaged(path, `${name} is not as long as its shape says`);
    return place;
  });
  tensors.sort((a, b) => a.begin - b.begin || a.length - b.length);
  const hashed = exchange(Buffer.concat([first.subarray(0, LENGTH_BYTES), bytes]), sha256, NO_DIGEST);
  return checked(path, { step: Number(step), tensors, digest: sha256, hashed }, start, size);
}

async function readFirstFormat(path: string, file: FileHandle, size: number, first: Buffer): Promise<Layout> {
  const line = first.toString("latin1", 0, first.indexOf("\n") + 1);
  const [, version, length, digest] = FIRST_LINE.exec(line) ?? [];
  if (digest === undefined) throw damaged(path, "its first line does not read as one");
  if (version !== "1") throw unknownVersion(path, version);
  const hashed = await headerBytes(path, file, size, line.length, Number(length));
  const { step, tensors: entries } = objectOf(path, JSON.parse(hashed.toString("utf8")));
  if (!Array.isArray(entries)) throw damaged(path, "its header names no tensors");
  const start = line.length + hashed.length;
  let begin = start;
  const tensors = entries.map((entry) => {
    const { name, shape } = objectOf(path, entry);
    const place = placeOf(path, String(name), shape, begin);
    begin = endOf(place);
    return place;
  });
  return checked(path, { step: step as number, tensors, digest, hashed }, start, size);
}

async function headerBytes(path: string, file: FileHandle, size: number, begin: number, length: number): Promise<Buffer> {
  if (length > MAX_HEADER || begin + length > size) throw damaged(path, "it ends within its header");
  const bytes = Buffer.alloc(length);
  if (!(await readAt(file, bytes, begin))) throw damaged(path, "it ends within its header");
  return bytes;
}

function objectOf(path: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw damaged(path, "its header does not read as one");
  return value as Record<string, unknown>;
}

function placeOf(path: string, name: string, shape: unknown, begin: number): Place {
  if (!isShape(shape)) throw damaged(path, `the shape of ${name} is none`);
  return { name, shape, begin, length: numbersOf(shape) };
}

function endOf({ begin, length }: Place): number {
  return begin + 4 * length;
}

/** Tensors lie one after the other, from the header to the end of the file. */
function checked(path: string, layout: Layout, start: number, size: number): Layout {
  if (!Number.isSafeInteger(layout.step) || layout.step < 0) throw damaged(path, "its step is no count");
  let end = start;
  for (const place of layout.tensors) {
    if (place.begin !== end) throw damaged(path, `${place.name} does not begin where the tensor before it ends`);
    end = endOf(place);
    if (end > size) throw damaged(path, `it ends within ${place.name}`);
  }
  if (end !== size) throw damaged(path, "there is more in it than its header names");
  return layout;
}

function unknownVersion(path: string, version: unknown): LosscError {
  return new LosscError("USAGE", `${path} holds a state of format ${String(version)}, this lossc reads formats 1 and ${VERSION}`);
}

/** The error of a file that is no whole state. */
export function damaged(path: string, why: string): LosscError {
  return new LosscError(
    "USAGE",
    `${path} is no state that lossc saved, or it is damaged: ${why}. Nothing was changed; load another file`,
  );
}
