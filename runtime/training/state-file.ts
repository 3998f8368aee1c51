/**
 * A policy's state in one file, in the format safetensors, which much else reads too. It is written and read by parts: beside the tensors themselves
 * a save or a load takes the memory of a part and of the header.
 */
import { createHash } from "node:crypto";
import { endianness } from "node:os";
import { LosscError } from "../../dsl/errors.js";
import { readAt, readWith, writeAside, writeAt } from "../files/user-files.js";
import { isState, type PolicyState, type Tensor } from "./policy.js";
import { damaged, headerOf, type Place, readLayout } from "./state-header.js";

/** Bytes that are read, written and hashed at once; a multiple of 4. */
const PART = 8 * 2 ** 20;

const WHAT = "the state";

/**
 * Writes the state aside and renames it into place; see {@link writeAside}.
 *
 * @param part Bytes at once.
 * @throws LosscError `USAGE`.
 */
export async function writeState(path: string, state: PolicyState, part = PART): Promise<void> {
  if (!isState(state))
    throw new LosscError(
      "USAGE",
      "state() of the policy must give { step, tensors: { name: { shape, data } } }: a whole number, and Float32Arrays as long as their shapes say",
    );
  const header = headerOf(state);
  await writeAside(path, WHAT, async (file) => {
    const hash = createHash("sha256").update(header.hashed);
    let position = header.hashed.length;
    for (const { data } of Object.values(state.tensors)) {
      for (const bytes of partsOf(data, part)) {
        const stored = littleEndian(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), true);
        const written = writeAt(file, stored, position);
        hash.update(stored);
        await written;
        position += stored.length;
      }
    }
    // Only now is the digest known. Nobody sees the file before it has its name.
    await writeAt(file, header.withDigest(hash.digest("hex")), 0);
  });
}

/**
 * Reads what {@link writeState} wrote, also in the format that it wrote first. Its header is checked before memory is taken, and its digest before
 * anything is handed out.
 *
 * @param part Bytes at once.
 * @throws LosscError `USAGE` where the file cannot be read, is damaged, or is something else.
 */
export async function readState(path: string, part = PART): Promise<PolicyState> {
  return readWith(path, WHAT, async (file, size) => {
    const { step, tensors: places, hashed, digest } = await readLayout(path, file, size);
    const hash = createHash("sha256").update(hashed);
    const tensors: [string, Tensor][] = [];
    let before: Buffer | null = null;
    const take = (bytes: Buffer | null) => {
      if (!bytes) return;
      hash.update(bytes);
      littleEndian(bytes, false);
    };
    for (const place of places) {
      const data = allocate(path, place);
      for (const bytes of partsOf(data, part)) {
        const position = place.begin + bytes.byteOffset - data.byteOffset;
        const arriving = readAt(file, bytes, position);
        // While a part is on its way, the one before it is hashed.
        take(before);
        if (!(await arriving)) throw damaged(path, `it ends within ${place.name}`);
        before = bytes;
      }
      tensors.push([place.name, { shape: place.shape, data }]);
    }
    take(before);
    if (hash.digest("hex") !== digest) throw damaged(path, "its content does not match its digest");
    return { step, tensors: Object.fromEntries(tensors) };
  });
}

/** The bytes of the numbers, where they lie, a part at a time. */
function* partsOf(data: Float32Array, part: number): Generator<Buffer> {
  for (let begin = 0; begin < data.byteLength; begin += part)
    yield Buffer.from(data.buffer, data.byteOffset + begin, Math.min(part, data.byteLength - begin));
}

function allocate(path: string, { name, length }: Place): Float32Array {
  try {
    return new Float32Array(length);
  } catch (cause) {
    const message = `there is no memory for ${name} of the state ${path}, ${4 * length} bytes; free some, or load it where there is more`;
    throw new LosscError("USAGE", message, { cause });
  }
}

/** From the machine's order of bytes to the file's, or back: in place, or in a copy. */
function littleEndian(bytes: Buffer, copy: boolean): Buffer {
  if (endianness() === "LE") return bytes;
  return (copy ? Buffer.from(bytes) : bytes).swap32();
}
