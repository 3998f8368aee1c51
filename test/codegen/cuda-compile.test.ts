/** Every kernel through `nvcc` as the runtime calls it, and what the assembler says of each. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { KERNELS_MARK, type KernelText } from "../../codegen/emit/index.js";
import { jsd } from "../../losses/index.js";
import { requireAddon } from "../../runtime/addon/addon.js";
import type { NativeAddon } from "../../runtime/addon/native.js";
import { KernelCache } from "../../runtime/cache/index.js";
import { findNvcc, openCuda } from "../../runtime/compilers/index.js";
import { sampled } from "../sample.js";
import { ARCHITECTURES, alone, catalogue, core, DTYPES, training, VOCABS } from "./cuda-units.js";
import { teachers } from "./golden-losses.js";

const nvcc = await findNvcc();
const folder = mkdtempSync(join(tmpdir(), "lossc-cuda-compile-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** An `nvcc` before the real one, which asks the assembler to talk and keeps what it says beside the binary. */
if (nvcc) {
  const wrapper = join(folder, "nvcc");
  const script = `#!/bin/sh
case "$1" in --version) exec "${nvcc}" "$@";; esac
echo "$@" > "$PWD/arguments"
exec "${nvcc}" "$@" -Xptxas -v > "$PWD/assembler" 2>&1
`;
  writeFileSync(wrapper, script);
  chmodSync(wrapper, 0o755);
  process.env.PATH = `${folder}${delimiter}${process.env.PATH}`;
}

interface Properties {
  readonly kernel: string;
  readonly stack: number;
  readonly spilled: number;
  readonly registers: number;
}

/** The report of `ptxas -v` on each kernel. */
function propertiesOf(log: string): Properties[] {
  return log
    .split("Compiling entry function")
    .slice(1)
    .map((text) => {
      const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
      return {
        kernel: /'(\w+)'/.exec(text)?.[1] ?? "",
        stack: number(/(\d+) bytes stack frame/),
        spilled: number(/(\d+) bytes spill stores/) + number(/(\d+) bytes spill loads/),
        registers: number(/Used (\d+) registers/),
      };
    });
}

const withoutNvrtc = (): NativeAddon => ({
  ...requireAddon("the test"),
  libraries: () => ({ cuda: {}, nvrtc: { problem: "not wanted here" }, cublas: {}, openblas: {} }),
});

/** Registers of a thread at most: a multiprocessor has 65536, and none can have 256. */
function registersFor(text: KernelText, kernel: string): number {
  const room = Number(new RegExp(`^LOSSC_SWEEP\\(${kernel},.*, (\\d+)\\)$`, "m").exec(text.text)?.[1] ?? 512);
  return Math.min(65536 / room, 255);
}

async function compiles(text: KernelText, architecture: string): Promise<void> {
  const toolchain = await openCuda(new KernelCache(join(folder, "cache")), withoutNvrtc(), architecture);
  const entry = await toolchain.compile(text);
  expect(entry.built).toBe(true);
  expect(entry.bytes.subarray(0, 4)).toEqual(Buffer.from("\x7fELF"));
  const beside = (file: string) => readFileSync(join(entry.path, "..", file), "utf8");
  expect(beside("arguments")).toMatch(new RegExp(`^-cubin -arch=${architecture} -std=c\\+\\+17 -fmad=false -w -o `));
  const found = propertiesOf(beside("assembler"));
  expect(found.map(({ kernel }) => kernel).sort()).toEqual(text.launches.map(({ kernel }) => kernel).sort());
  for (const { kernel, stack, spilled, registers } of found) {
    expect({ kernel, stack, spilled }).toEqual({ kernel, stack: 0, spilled: 0 });
    expect(registers, kernel).toBeLessThanOrEqual(registersFor(text, kernel));
  }
}

/** A translation unit by name, for one architecture. */
type Unit = readonly [name: string, architecture: string, text: () => KernelText];

const CATALOGUES: readonly Unit[] = [
  ...ARCHITECTURES.map((sm): Unit => ["all losses, bf16", sm, () => catalogue("bf16", VOCABS.long, sm)]),
  ["all losses, bf16, short rows", "sm_90", () => catalogue("bf16", VOCABS.short)],
  ["all losses, f16", "sm_90", () => catalogue("f16", VOCABS.long)],
  ["all losses, f32", "sm_90", () => catalogue("f32", VOCABS.long)],
];
// Long rows of bf16 are among all losses.
const CORES = ARCHITECTURES.flatMap((sm) =>
  DTYPES.flatMap((dtype): Unit[] => [
    [`the core of losses, ${dtype}, short rows`, sm, () => core(dtype, VOCABS.short, sm)],
    ...(dtype === "bf16" ? [] : ([[`the core of losses, ${dtype}`, sm, () => core(dtype, VOCABS.long, sm)]] as const)),
  ]),
);
const ROWS = [2, 3].flatMap((count) =>
  [VOCABS.short, VOCABS.long].flatMap((vocab) =>
    (["bf16", "f32"] as const).map(
      (dtype): Unit => [
        `${count} rows beside the logits, V ${vocab}, ${dtype}`,
        "sm_90",
        () => alone(teachers(count), dtype, vocab),
      ],
    ),
  ),
);
const TWO_ROWS = ["sm_80", "sm_120"].flatMap((sm) =>
  [400, 4000].map((vocab): Unit => [`two rows of one block, V ${vocab}`, sm, () => alone(jsd, "bf16", vocab, sm)]),
);
const OTHERS: readonly Unit[] = [
  ["rows of one block", "sm_90", () => core("bf16", VOCABS.block)],
  ["steps that are no loss", "sm_90", training],
];

describe.skipIf(nvcc === null)(`cubins${nvcc === null ? " (nvcc is absent)" : ""}`, () => {
  test.each([
    ...sampled("catalogues", 1, CATALOGUES),
    ...sampled("cores", 3, CORES),
    ...sampled("rows", 2, ROWS),
    ...sampled("two rows", 1, TWO_ROWS),
    ...sampled("others", 1, OTHERS),
  ])("of %s, %s", async (_, architecture, text) => {
    await compiles(text(), architecture);
  });
});

test("a loss of two or three rows beside the logits has registers for half as many threads", () => {
  for (const count of [2, 3]) expect(registersFor(alone(teachers(count), "bf16", VOCABS.short), "k0")).toBe(255);
});

const kernelsOf = (text: string) => text.split(KERNELS_MARK)[1] as string;

describe("the text", () => {
  const texts = [...DTYPES.flatMap((dtype) => Object.values(VOCABS).map((vocab) => catalogue(dtype, vocab))), training()];

  test("includes nothing", () => {
    for (const { text } of texts) expect(/^\s*#\s*(include|import)|__has_include/m.exec(text)).toBe(null);
  });

  test("is lines that can be read, the kernels in ASCII", () => {
    // The training client's own comments know more letters; what is written for a loss may hold names of users'.
    for (const { text } of texts.slice(0, -1)) {
      expect(/[^\n\x20-\x7e]/.exec(kernelsOf(text))).toBe(null);
    }
    for (const dtype of DTYPES) {
      const lines = core(dtype, VOCABS.short).text.split("\n");
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(160);
    }
  });

  test("has inline PTX in the prelude alone", () => {
    for (const { text } of texts) expect(/\basm\b|__\w+/.exec(kernelsOf(text))).toBe(null);
  });

  test("has a condition on the target nowhere in a kernel", () => {
    for (const { text } of texts) expect(/^\s*#|kTeam|kBlock|kStep|\bLANES\b/m.exec(kernelsOf(text))).toBe(null);
  });
});
