/** The instructions of row loops on sm_90. The tests need a disassembler: `nvdisasm` in PATH or named by `$LOSSC_NVDISASM`. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { compilePlan } from "../../codegen/compile.js";
import { emitText } from "../../codegen/emit/index.js";
import type { LossDefinition } from "../../dsl/index.js";
import { findNvcc } from "../../runtime/compilers/index.js";
import { goldenLosses } from "./golden-losses.js";

const nvcc = await findNvcc();
const nvdisasm = process.env.LOSSC_NVDISASM ?? "nvdisasm";
const absent = nvcc === null || spawnSync(nvdisasm, ["--version"]).status !== 0;
const folder = mkdtempSync(join(tmpdir(), "lossc-machine-code-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The disassembly of a loss's kernels. */
function listing(name: string, vocab: number): string {
  const { plan } = compilePlan({ loss: goldenLosses[name] as LossDefinition, logits: "bf16" });
  const [source, cubin] = [join(folder, `${name}.cu`), join(folder, `${name}.cubin`)];
  writeFileSync(source, emitText(plan, { target: "cuda", architecture: "sm_90", vocab }).text);
  execFileSync(nvcc as string, ["-arch=sm_90", "-std=c++17", "-fmad=false", "-w", "-cubin", "-o", cubin, source]);
  return execFileSync(nvdisasm, ["-c", cubin], { encoding: "utf8", maxBuffer: 1 << 28 });
}

const INSTRUCTION = /^\s+\/\*[0-9a-f]+\*\/\s+(?:@!?U?P\w+ )?([A-Z][\w.]*)/;

/** The instructions, without their operands. */
function instructionsOf(text: string): string[] {
  return text.split("\n").flatMap((line) => INSTRUCTION.exec(line)?.[1] ?? []);
}

/** The instructions of every loop that holds no other, from its label to the branch back. */
function loopsOf(text: string): string[][] {
  const loops: string[][] = [];
  let open = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const label = /^(\.L_\w+):/.exec(line)?.[1];
    if (label) open.set(label, []);
    const instruction = INSTRUCTION.exec(line)?.[1];
    if (!instruction) continue;
    for (const body of open.values()) body.push(instruction);
    const back = /BRA `\((\.L_\w+)\)/.exec(line)?.[1];
    const body = back && open.get(back);
    if (!body) continue;
    loops.push(body);
    open = new Map();
  }
  return loops;
}

/** Instructions per packet of 16 bytes in the loop that has most packets of those that hold `such` and none of `no`. */
function perPacket(loops: readonly string[][], packet: RegExp, such: RegExp, no: RegExp): number {
  const count = (loop: readonly string[], pattern: RegExp) => loop.filter((instruction) => pattern.test(instruction)).length;
  const found = loops.filter((loop) => count(loop, packet) > 0 && count(loop, such) > 0 && count(loop, no) === 0);
  const [most] = found.sort((a, b) => count(b, packet) - count(a, packet));
  return most ? most.length / count(most, packet) : Number.NaN;
}

describe.skipIf(absent)(`machine code${absent ? " (nvcc or nvdisasm is absent)" : ""}`, () => {
  test.each(["cross_entropy", "ppo", "gspo", "variance", "forward_kl"])(
    "%s reads and writes its rows by 16 bytes and keeps nothing in local memory",
    (name) => {
      const found = instructionsOf(listing(name, 128256));
      const some = (pattern: RegExp) => found.filter((instruction) => pattern.test(instruction));
      expect(found.length).toBeGreaterThan(100);
      expect(some(/^(LDL|STL)/)).toEqual([]);
      expect(some(/^LDGSTS\..*128$/).length, "asynchronous copies into shared memory").toBeGreaterThan(0);
      expect(some(/^LDS\.128$/).length, "reads from shared memory").toBeGreaterThan(0);
      expect(some(/^STG\..*128$/).length, "stores of the gradient").toBeGreaterThan(0);
      expect(some(/^UCGABAR_WAIT$/).length, "barriers of the cluster").toBeGreaterThan(0);
    },
  );

  // Memory brings an H200's lanes an entry of 4 bytes every 29 instructions, at most: see docs/performance.md.
  test.each(["cross_entropy", "ppo"])("%s takes at most 15 instructions an entry", (name) => {
    const loops = loopsOf(listing(name, 128256));
    const copied = perPacket(loops, /^LDGSTS/, /./, /^MUFU/);
    const maximum = perPacket(loops, /^LDS\.128/, /^VHMNMX/, /^(MUFU|STG)/);
    const summed = perPacket(loops, /^LDS\.128/, /^MUFU/, /^(STG|DADD)/);
    const stored = perPacket(loops, /^LDS\.128/, /^STG/, /^LDGSTS/);
    expect(summed + stored).toBeGreaterThan(2 * 8);
    expect((copied + maximum + summed + stored) / 8, `${[copied, maximum, summed, stored]} a packet`).toBeLessThanOrEqual(15);
  });
});
