/** Where there is a GPU but no NVRTC: `nvcc`, played by a script that puts the emulated prelude into the text as the fake NVRTC does. */

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { LossDefinition } from "../../dsl/index.js";
import { ppo } from "../../losses/index.js";
import { agrees, batchOf, inputsFor } from "../emulated/batch.js";
import { expectError } from "../runtime/support.js";
import { fakeMachine, openFake } from "./machine.js";

const machine = fakeMachine();
const folder = mkdtempSync(join(tmpdir(), "lossc-nvcc-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
process.env.LOSSC_LIBNVRTC = join(folder, "libnvrtc-is-not-here.so");
writeFileSync(
  join(folder, "nvcc"),
  `#!/bin/sh
case "$1" in --version) echo "nvcc, a fake of the tests"; exit 0;; esac
echo "$@" >> "${folder}/calls"
while [ $# -gt 2 ]; do [ "$1" = -o ] && out=$2; shift; done
awk '
  /^\\/\\/ ---- kernels ----$/ { skip = 0 }
  !skip { print }
  /^\\/\\/ ---- prelude ----$/ { while ((getline line < prelude) > 0) print line; skip = 1 }
' prelude="$LOSSC_FAKE_PRELUDE" "$2" > "$out.cc"
exec "\${CXX:-c++}" -std=c++17 -O1 -shared -fPIC -ffp-contract=off -w -o "$out" "$out.cc"
`,
);
chmodSync(join(folder, "nvcc"), 0o755);
process.env.PATH = `${folder}${delimiter}${process.env.PATH}`;
const calls = () => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");

test("nvcc compiles what NVRTC would have, and its cubin runs", async () => {
  const device = await openFake();
  await agrees(device, ppo, batchOf([3, 2], 61, "bf16", false));
  expect(device.launches).toBe(1);
  expect(calls().length).toBe(1);
  expect(calls()[0]).toMatch(/^-cubin -arch=sm_\d+ -std=c\+\+17 -fmad=false -w -o kernel\.cubin kernel\.cu$/);
  expect(machine.take().entries.some(({ call }) => call === "nvrtcCompileProgram")).toBe(false);
});

test("a text that nvcc refuses is COMPILE_FAILED with its log, and the next one works", async () => {
  const device = await openFake();
  const bad = { comment: "a mistake", kernels: [{ id: "k0", body: "struct K0 { this is none };" }] };
  const error = await expectError("COMPILE_FAILED", () => device.loadModule(bad), "nvcc");
  expect(error.log).toMatch(/error/);
  const inputs = inputsFor(ppo, batchOf([3, 2], 61, "bf16", false).inputs());
  expect((await (await device.compile<LossDefinition>(ppo)).forwardBackward(inputs)).launches).toBe(1);
});
