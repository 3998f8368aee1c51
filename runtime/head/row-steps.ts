/**
 * Copies of rows, gathered or scattered, written once for every target. Rows are copied as bits, in packets of 16, 4 or 2 bytes: the widest that
 * divides their size and their places.
 */
import { TARGETS } from "../../codegen/emit/targets/index.js";
import { LosscError } from "../../dsl/errors.js";
import type { Command, Memory } from "../addon/native.js";
import type { Device, LoadedModule, ModuleSource } from "../devices/device.js";
import { checkCountable, elementLaunch } from "../devices/launch.js";

const PACKETS = [16, 4, 2] as const;
type PacketBytes = (typeof PACKETS)[number];
const TYPES: Readonly<Record<PacketBytes, string>> = { 16: "Sixteen", 4: "unsigned", 2: "unsigned short" };

const text = `
struct alignas(16) Sixteen { unsigned words[4]; };

// to[i] = from[rows[i]], zeros where rows[i] is negative. A row is \`packets\` long, and an element copies \`run\` of them.
template <class P>
struct CopyRows {
  struct Args { index n; const int* rows; const P* from; P* to; index packets; index run; index runs; };
  LOSSC_FN static void element(const Args& a, index i) {
    const index row = index(unsigned(i) / unsigned(a.runs)), first = (i - row * a.runs) * a.run;
    const index last = first + a.run < a.packets ? first + a.run : a.packets;
    const index source = load(a.rows, row), to = row * a.packets;
    if (source < 0) {
      for (index j = first; j < last; ++j) write(a.to, to + j, P{});
    } else {
      for (index j = first; j < last; ++j) write(a.to, to + j, read(a.from, source * a.packets + j));
    }
  }
};
`;

const ROWS_MODULE: ModuleSource = {
  comment: "Rows of a matrix, gathered and scattered.",
  kernels: PACKETS.map((bytes, i) => ({
    id: `copyRows${bytes}`,
    body: `${i === 0 ? text : ""}struct CopyRows${bytes} : CopyRows<${TYPES[bytes]}> {};`,
  })),
};

/** Part of a memory; the offset is in bytes. */
export interface Part {
  readonly memory: Memory;
  readonly offset: number;
}

export interface RowsShape {
  /** Rows that are written. */
  readonly count: number;
  /** Elements of a row. */
  readonly width: number;
  readonly elementBytes: 2 | 4;
}

/** Commands that copy rows. */
export class RowSteps {
  private constructor(
    private readonly module: LoadedModule,
    private readonly runBytes: number,
  ) {}

  /** Compiles the kernels, or takes them from the cache. Not on `reference`. */
  static async load(device: Device): Promise<RowSteps> {
    const module = await device.loadModule(ROWS_MODULE);
    return new RowSteps(module, device.native ? TARGETS[device.native.kind].runBytes : 0);
  }

  /** to[i] = from[rows[i]], zeros where rows[i] is negative. `rows` are int32, one for each row of `to`; nothing checks here that `from` has them. */
  copy({ rows, from, to, count, width, elementBytes }: { rows: Part; from: Part; to: Part } & RowsShape): Command[] {
    if (count === 0 || width === 0) return [];
    const rowBytes = width * elementBytes;
    const bytes = PACKETS.find((packet) => [rowBytes, placeOf(from), placeOf(to)].every((place) => place % packet === 0));
    if (bytes === undefined) throw new LosscError("USAGE", "rows begin at a multiple of their elements' bytes");
    const packets = rowBytes / bytes;
    const run = Math.max(1, Math.floor(this.runBytes / bytes));
    const runs = Math.ceil(packets / run);
    const elements = count * runs;
    checkCountable("a copy of rows", elements);
    const sizes = [packets, run, runs].map((index) => ({ index }));
    return elementLaunch(this.module, `copyRows${bytes}`, elements, [rows, from, to, ...sizes]);
  }
}

/** The known alignment of a part, as an offset. Device buffers are aligned to more than a packet, typed arrays to their elements. */
function placeOf({ memory, offset }: Part): number {
  if (!ArrayBuffer.isView(memory)) return offset;
  const { BYTES_PER_ELEMENT = 1 } = memory as { BYTES_PER_ELEMENT?: number };
  return offset + Math.min(BYTES_PER_ELEMENT, 4);
}
