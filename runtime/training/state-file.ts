/**
 * A policy's state in one file: a line that names the format, the length of the header and a digest, a header in JSON, then the tensors as
 * float32, little-endian, one after the other. The digest covers header and tensors.
 */
import { createHash, randomUUID } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { endianness } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { LosscError } from "../../dsl/errors.js";
import { numbersOf, type PolicyState, type Tensor } from "./policy.js";

const FORMAT = "lossc-state 1";
const FIRST_LINE = /^lossc-state (\d+) (\d+) ([0-9a-f]{64})\n$/;

interface Header {
  readonly step: number;
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/** Writes beside `path` and renames into place, so that whoever reads finds the state before or the state after, never a part. */
export async function writeState(path: string, state: PolicyState): Promise<void> {
  if (!isState(state))
    throw new LosscError(
      "USAGE",
      "state() of the policy must give { step, tensors: { name: { shape, data } } }: a whole number, and Float32Arrays as long as their shapes say",
    );
  if (typeof path !== "string") throw new LosscError("USAGE", `the path of the state is ${String(path)}; give that of a file`);
  const target = resolve(path);
  const aside = join(dirname(target), `.${basename(target)}.${process.pid}.${randomUUID()}`);
  try {
    const file = await open(aside, "wx");
    try {
      for (const part of encode(state)) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, target);
  } catch (cause) {
    await rm(aside, { force: true });
    throw new LosscError("USAGE", `could not save the state to ${path}: ${reason(cause)}`, { cause });
  }
}

function isState(state: Partial<PolicyState> | null | undefined): state is PolicyState {
  const { step, tensors } = state ?? {};
  const isTensor = (tensor: Partial<Tensor> | null) =>
    tensor?.data instanceof Float32Array && Array.isArray(tensor.shape) && numbersOf(tensor.shape) === tensor.data.length;
  return Number.isSafeInteger(step) && typeof tensors === "object" && tensors !== null && Object.values(tensors).every(isTensor);
}

/** Reads what {@link writeState} wrote. A file that is damaged, or something else, is a `USAGE` error. */
export async function readState(path: string): Promise<PolicyState> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new LosscError("USAGE", `could not read the state ${path}: ${reason(cause)}`, { cause });
  }
  const end = bytes.subarray(0, 160).indexOf("\n") + 1;
  const [, version, headerLength, digest] = FIRST_LINE.exec(bytes.toString("latin1", 0, end)) ?? [];
  if (version === undefined) throw damaged(path, `it does not begin with "${FORMAT}"`);
  if (version !== "1") throw new LosscError("USAGE", `${path} holds a state of format ${version}, this lossc reads format 1`);
  const body = bytes.subarray(end);
  if (createHash("sha256").update(body).digest("hex") !== digest) throw damaged(path, "its content does not match its digest");
  const length = Number(headerLength);
  try {
    return decode(path, JSON.parse(body.toString("utf8", 0, length)) as Header, body.subarray(length));
  } catch (cause) {
    if (cause instanceof LosscError) throw cause;
    throw damaged(path, `its header does not read as one (${reason(cause)})`);
  }
}

function encode(state: PolicyState): Buffer[] {
  const tensors = Object.entries(state.tensors);
  const header: Header = { step: state.step, tensors: tensors.map(([name, { shape }]) => ({ name, shape })) };
  const parts = [
    Buffer.from(JSON.stringify(header)),
    ...tensors.map(([, { data }]) => littleEndian(Buffer.from(data.buffer, data.byteOffset, data.byteLength))),
  ];
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return [Buffer.from(`${FORMAT} ${parts[0]?.length} ${hash.digest("hex")}\n`), ...parts];
}

function decode(path: string, header: Header, payload: Buffer): PolicyState {
  const tensors: Record<string, Tensor> = {};
  let offset = 0;
  for (const { name, shape } of header.tensors) {
    const length = numbersOf(shape);
    if (offset + 4 * length > payload.length) throw damaged(path, `it ends within ${name}`);
    // A copy: the payload need not be aligned.
    const bytes = littleEndian(Buffer.from(payload.subarray(offset, offset + 4 * length)));
    const data = new Float32Array(length);
    bytes.copy(Buffer.from(data.buffer));
    tensors[name] = { shape, data };
    offset += 4 * length;
  }
  if (offset !== payload.length) throw damaged(path, "there is more in it than its header names");
  return { step: header.step, tensors };
}

function littleEndian(bytes: Buffer): Buffer {
  return endianness() === "LE" ? bytes : Buffer.from(bytes).swap32();
}

function damaged(path: string, why: string): LosscError {
  return new LosscError(
    "USAGE",
    `${path} is no state that lossc saved, or it is damaged: ${why}. Nothing was changed; load another file`,
  );
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
