/** Bounds checks of a policy's steps: sizes are checked before a launch, indices in the kernels. */
import { NO_FAULT } from "../../codegen/schedule/plan.js";
import { LosscError } from "../../dsl/errors.js";
import { wrapNative } from "../addon/addon.js";
import type { Command, Memory, NativeBuffer, NativeDevice } from "../addon/native.js";
import { describe } from "../inputs/numbers.js";
import { RANGE_STATUS } from "./kernels.js";

/** Numbers of four bytes that fit into a memory. */
export function numbersIn(memory: Memory): number {
  return Math.floor(memory.byteLength / 4);
}

/** `INPUT_LENGTH` where a memory has fewer numbers, from an offset in bytes on, than a kernel visits. */
export function checkNumbers(name: string, memory: Memory, numbers: number, offset: number): void {
  if (offset + 4 * numbers <= memory.byteLength) return;
  throw new LosscError(
    "INPUT_LENGTH",
    `${name} has ${memory.byteLength} bytes, and the step visits ${numbers} numbers of 4 bytes${offset > 0 ? ` from byte ${offset} on` : ""}; give it as many`,
  );
}

/** Tokens in host memory are checked here, those on a device in the kernel. `TARGET_OUT_OF_RANGE`, `INPUT_DTYPE`. */
export function checkTokens(tokens: Memory, count: number, rows: number): void {
  if (!ArrayBuffer.isView(tokens)) return;
  if (!(tokens instanceof Int32Array)) throw new LosscError("INPUT_DTYPE", `tokens are ${describe(tokens)}; give an Int32Array`);
  const bad = tokens.subarray(0, count).findIndex((token) => token < 0 || token >= rows);
  if (bad < 0) return;
  throw new LosscError(
    "TARGET_OUT_OF_RANGE",
    `tokens[${bad}] is ${tokens[bad]}, which is no row of the ${rows} that there are: tokens are 0 … ${rows - 1}`,
  );
}

/** The words in which kernels flag indices that lie outside of the memory they index. */
export class RangeStatus {
  readonly memory: NativeBuffer;
  /** Launches of kernels that do. */
  readonly #watched = new WeakSet<Command>();

  constructor(native: NativeDevice) {
    try {
      this.memory = native.allocate(4 * Object.keys(RANGE_STATUS).length);
    } catch (error) {
      throw wrapNative(error);
    }
  }

  watched(commands: Command[]): Command[] {
    for (const command of commands) this.#watched.add(command);
    return commands;
  }

  /**
   * Runs a program, and throws `TARGET_OUT_OF_RANGE` where one of its kernels flagged an index. Programs of a device run one after the other, so one
   * status does for all.
   */
  async watch(program: readonly Command[], run: (program: readonly Command[]) => Promise<void>): Promise<void> {
    if (!program.some((command) => this.#watched.has(command))) return run(program);
    const [to, bytes] = [this.memory, this.memory.byteLength];
    const words = new Uint32Array(bytes / 4);
    await run([{ kind: "fill", to, offset: 0, bytes, value: 255 }, ...program, { kind: "read", from: to, offset: 0, to: words }]);
    const [slot, token] = [words[RANGE_STATUS.gather], words[RANGE_STATUS.gatherTransposed]];
    if (slot !== NO_FAULT)
      throw new LosscError(
        "TARGET_OUT_OF_RANGE",
        `tokens[${slot}] of a gather is no row of its table, and zeros stand for it: tokens are 0 up to, and without, the number of rows`,
      );
    if (token !== NO_FAULT)
      throw new LosscError(
        "TARGET_OUT_OF_RANGE",
        `the slots that gatherTransposed gets for the token ${token} leave order or d, and nothing was added for it: take begin and order from slotsByToken() of the tokens that d belongs to`,
      );
  }
}
