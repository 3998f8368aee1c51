/** State files taken apart and put together again, with something changed in between: in both formats, by bytes and by what the header says. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { PolicyState } from "../../index.js";

/** Values that replace a field of a header. */
const STRANGE: readonly unknown[] = [
  null,
  true,
  "",
  "x",
  "-1",
  "F16",
  "__proto__",
  "weights/none",
  -1,
  0,
  1,
  0.5,
  3,
  2 ** 31,
  2 ** 53,
  1e308,
  "1e3",
  "9".repeat(30),
  [],
  [0],
  [-1],
  [1, 2, 3],
  [2 ** 27, 2 ** 27],
  [2 ** 53],
  [0, 2 ** 40],
  [null],
  {},
  { shape: [1] },
  { dtype: "F32", shape: [1], data_offsets: [0, 4] },
];
const LENGTHS = [0n, 1n, 7n, 2n ** 24n, 2n ** 31n, 2n ** 53n, 2n ** 64n - 1n];

/** Places are fractions of a million of what there is. */
const place = fc.nat(999_999);
const mutation = fc.oneof(
  fc.record({ kind: fc.constant("cut" as const), at: place }),
  fc.record({ kind: fc.constant("flip" as const), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant("extend" as const), bytes: fc.integer({ min: 1, max: 40 }), value: fc.nat(255) }),
  fc.record({ kind: fc.constant("fill" as const), at: place, bytes: fc.integer({ min: 1, max: 40 }), value: fc.nat(255) }),
  fc.record({ kind: fc.constant("swap" as const), at: place, with: place }),
  fc.record({ kind: fc.constant("length" as const), value: fc.constantFrom(...LENGTHS) }),
  fc.record({ kind: fc.constant("replace" as const), at: place, value: fc.nat(STRANGE.length - 1) }),
  fc.record({ kind: fc.constant("remove" as const), at: place }),
  fc.record({
    kind: fc.constant("rename" as const),
    at: place,
    value: fc.constantFrom("", "x", "__proto__", "shape", "step", "weights/a"),
  }),
);
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

export interface Damage {
  readonly mutations: readonly Mutation[];
  /** With a digest that is right again: what only the header can give away. */
  readonly sealed: boolean;
}

export const damages: fc.Arbitrary<Damage> = fc.record({
  mutations: fc.array(mutation, { minLength: 1, maxLength: 3 }),
  sealed: fc.boolean(),
});

/** A file in the format that lossc wrote first. */
export function firstFormat({ step, tensors }: PolicyState): Buffer {
  const entries = Object.entries(tensors);
  const header = { step, tensors: entries.map(([name, { shape }]) => ({ name, shape })) };
  const payload = Buffer.concat(entries.map(([, { data }]) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)));
  return sealFirst(Buffer.from(JSON.stringify(header)), payload);
}

function sealFirst(header: Buffer, payload: Buffer): Buffer {
  const digest = createHash("sha256").update(header).update(payload).digest("hex");
  return Buffer.concat([Buffer.from(`lossc-state 1 ${header.length} ${digest}\n`), header, payload]);
}

const DIGEST = /"sha256":"([0-9a-f]{64})"/;

/** The digest of a safetensors file is over all of it, with zeros in its own place. */
function sealSafetensors(bytes: Buffer): Buffer {
  const begin = bytes.toString("latin1").search(DIGEST) + '"sha256":"'.length;
  if (begin < '"sha256":"'.length) return bytes;
  const zeros = Buffer.from(bytes);
  zeros.write("0".repeat(64), begin);
  zeros.write(createHash("sha256").update(zeros).digest("hex"), begin);
  return zeros;
}

const FIRST_LINE = /^lossc-state \d+ (\d+) [0-9a-f]{64}\n/;

/** Where header and tensors lie; of a file that was cut or garbled maybe nowhere. */
function parts(bytes: Buffer): { readonly first: boolean; readonly header: Buffer; readonly payload: Buffer } | null {
  const line = FIRST_LINE.exec(bytes.toString("latin1", 0, 160));
  const begin = line ? line[0].length : 8;
  const length = line ? Number(line[1]) : bytes.length < 8 ? 0 : Number(bytes.readBigUInt64LE());
  if (begin + length > bytes.length) return null;
  return { first: line !== null, header: bytes.subarray(begin, begin + length), payload: bytes.subarray(begin + length) };
}

function sealed(bytes: Buffer): Buffer {
  const found = parts(bytes);
  return found?.first ? sealFirst(found.header, found.payload) : sealSafetensors(bytes);
}

/** Every place in a header: what holds it, and its key. */
function placesIn(value: unknown): (readonly [Record<string, unknown>, string])[] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key) => [[holder, key] as const, ...placesIn(holder[key])]);
}

function withHeader(bytes: Buffer, at: number, change: (holder: Record<string, unknown>, key: string) => void): Buffer {
  const found = parts(bytes);
  let header: unknown;
  try {
    header = JSON.parse(found?.header.toString() ?? "");
  } catch {
    return bytes;
  }
  const places = placesIn(header);
  const [holder, key] = places[Math.floor((at / 1e6) * places.length)] ?? [];
  if (!found || !holder || key === undefined) return bytes;
  change(holder, key);
  const text = Buffer.from(JSON.stringify(header));
  if (found.first) {
    const line = bytes.toString("latin1", 0, bytes.length - found.header.length - found.payload.length);
    return Buffer.concat([Buffer.from(line.replace(/ \d+ (\w+\n)$/, ` ${text.length} $1`)), text, found.payload]);
  }
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, found.payload]);
}

function mutated(bytes: Buffer, change: Mutation): Buffer {
  const at = "at" in change ? Math.floor((change.at / 1e6) * bytes.length) : 0;
  const copy = Buffer.from(bytes);
  switch (change.kind) {
    case "cut":
      return copy.subarray(0, at);
    case "flip":
      if (at < copy.length) copy[at] = (copy[at] as number) ^ (1 << change.bit);
      return copy;
    case "extend":
      return Buffer.concat([copy, Buffer.alloc(change.bytes, change.value)]);
    case "fill":
      return copy.fill(change.value, at, Math.min(copy.length, at + change.bytes));
    case "swap": {
      const other = Math.floor((change.with / 1e6) * bytes.length);
      if (copy.length > 0) [copy[at], copy[other]] = [copy[other] as number, copy[at] as number];
      return copy;
    }
    case "length":
      if (copy.length >= 8) copy.writeBigUInt64LE(change.value);
      return copy;
    case "replace":
      return withHeader(bytes, change.at, (holder, key) => put(holder, key, STRANGE[change.value]));
    case "remove":
      return withHeader(bytes, change.at, (holder, key) => Reflect.deleteProperty(holder, key));
    case "rename":
      return withHeader(bytes, change.at, (holder, key) => {
        const value = holder[key];
        Reflect.deleteProperty(holder, key);
        put(holder, change.value, value);
      });
  }
}

/** Also under the name of `__proto__`. */
function put(holder: object, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

/** The bytes with all that done to them. */
export function damaged(bytes: Buffer, { mutations, sealed: seals }: Damage): Buffer {
  const after = mutations.reduce(mutated, bytes);
  return seals ? sealed(after) : after;
}
