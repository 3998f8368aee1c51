/** Overlap checks between memory that a call writes and memory that it reads. */
import { LosscError } from "../../dsl/errors.js";
import type { LossDefinition } from "../../dsl/index.js";
import { loadAddon } from "../addon/addon.js";
import { type CheckedInputs, readAs, sourcesOf } from "./check.js";
import type { Source } from "./numbers.js";

/**
 * Refuses a call whose result would overwrite numbers that it still reads, or another of its results. Converted inputs are copies and may overlap.
 * Inputs may also overlap `policy_logprobs` and `gradHead`, whose gradients are computed in separate memory.
 *
 * @throws LosscError `INPUT_OVERLAP`.
 */
export function checkOverlap(loss: LossDefinition, inputs: CheckedInputs, inPlace: boolean, gradHead: Source | null): void {
  const { from, source } = inputs;
  if (!inPlace || from === "policy_logprobs") return;
  for (const [name, read] of sourcesOf(inputs)) {
    if (read === null || read === source || read.dtype !== readAs(loss, name, source.dtype) || !overlaps(read, source)) continue;
    throw new LosscError(
      "INPUT_OVERLAP",
      `with inPlace the gradient overwrites ${from}, and ${name} lies in the same memory, which the call still reads; give a copy of ${name}, or leave inPlace out`,
    );
  }
  if (gradHead && overlaps(gradHead, source))
    throw new LosscError(
      "INPUT_OVERLAP",
      `with inPlace the gradient overwrites ${from}, and gradHead lies in the same memory, so that one result would be lost; give gradHead memory of its own, or leave inPlace out`,
    );
}

/** Whether two have a byte in common. */
export function overlaps(a: Source, b: Source): boolean {
  if (a.length === 0 || b.length === 0) return false;
  const [memory, other] = [memoryOf(a), memoryOf(b)];
  if (!ArrayBuffer.isView(memory) || !ArrayBuffer.isView(other)) return memory === other;
  if (memory.buffer === other.buffer)
    return memory.byteOffset < other.byteOffset + other.byteLength && other.byteOffset < memory.byteOffset + memory.byteLength;
  // Shared memory that came from another thread is another object; only its address identifies it. Without the addon there is `reference` alone,
  // which reads all before it writes.
  const shared = memory.buffer instanceof SharedArrayBuffer && other.buffer instanceof SharedArrayBuffer;
  return shared && (loadAddon().addon?.overlap(memory, other) ?? false);
}

function memoryOf(source: Source) {
  return source.kind === "device" ? source.buffer.memory : source.array;
}
