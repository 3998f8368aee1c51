/**
 * The order of the files: those that take minutes begin first, for what begins last keeps one processor waiting for the other. Those that share a
 * process come last and in one go, for that process ends with the first file that wants its own.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** From about twenty seconds of processor time on. */
const LONG = [
  "cli/vectors",
  "codegen/cuda-compile",
  "properties/emulated",
  "properties/cpu",
  "emulated/clusters",
  "cuda/ptx",
  "cli/check",
  "runtime/fake-cuda",
  "cuda/bench",
  "codegen/long",
  "runtime/processors",
  "runtime/head",
  "examples/train",
];

function rankOf({ moduleId, project }: TestSpecification): number {
  if (project.name === "together") return LONG.length + 1;
  const place = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return place < 0 ? LONG.length : place;
}

export default class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => rankOf(a) - rankOf(b));
  }
}
