/** The fake GPU running PTX: each instruction gives what NVIDIA's description of it says, and what a GPU would punish is punished. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findNvcc } from "../../runtime/compilers/index.js";
import { FakeMachine } from "./fake/machine.js";
import { addon, expectCode, failure, type LaunchShape, launch } from "./support.js";

const nvcc = await findNvcc();
const machine = new FakeMachine();
if (nvcc !== null) machine.nvcc = nvcc;
const options = ["--gpu-architecture=sm_90", "-std=c++17", "-fmad=false"];

/** The bits of a number as a float32, and as a float64. */
const f = (x: number) => BigInt(new Uint32Array(Float32Array.of(x).buffer)[0] as number);
const d = (x: number) => new BigUint64Array(Float64Array.of(x).buffer)[0] as bigint;

/** Of each type of a register: the C++ type, and the ways from 64 bits and back. */
const TYPES = {
  h: ["unsigned short", "(unsigned short)", "(unsigned long long)"],
  r: ["unsigned", "(unsigned)", "(unsigned long long)"],
  l: ["unsigned long long", "(unsigned long long)", "(unsigned long long)"],
  f: ["float", "__uint_as_float", "(unsigned long long)__float_as_uint"],
  d: ["double", "__longlong_as_double", "(unsigned long long)__double_as_longlong"],
} as const;
type Type = keyof typeof TYPES;

type Case = readonly [assembly: string, types: string, operands: readonly (number | bigint)[], expected: number | bigint];
const compare = (how: string, a: number, b: number, expected: number): Case => [
  `{ .reg .pred p; setp.${how}.f32 p, %1, %2; selp.u32 %0, 1, 0, p; }`,
  "rff",
  [f(a), f(b)],
  expected,
];

const CASES: readonly Case[] = [
  // Halves: the first operand is the upper one. Halfway between two, the even one is taken.
  ["cvt.rn.bf16x2.f32 %0, %1, %2;", "rff", [0x3f818000, 0x3f808000], 0x3f823f80],
  ["cvt.rn.bf16x2.f32 %0, %1, %2;", "rff", [f(Number.NaN), f(-Infinity)], 0x7fffff80],
  ["cvt.rn.bf16.f32 %0, %1;", "hf", [0x7f7fffff], 0x7f80],
  ["cvt.rn.f16x2.f32 %0, %1, %2;", "rff", [f(2049), f(2051)], 0x68006802],
  ["cvt.rn.f16x2.f32 %0, %1, %2;", "rff", [f(65520), f(Number.NaN)], 0x7c007fff],
  ["cvt.rn.f16x2.f32 %0, %1, %2;", "rff", [f(2 ** -25), f(1.5 * 2 ** -25)], 0x00000001],
  ["cvt.f32.f16 %0, %1;", "fh", [0x8001], f(-(2 ** -24))],
  ["{ .reg .b16 a, b; mov.b32 {a, b}, %1; mov.b32 %0, {b, a}; }", "rr", [0x12345678], 0x56781234],
  ["mov.b64 %0, {%1, %2};", "lff", [f(1), f(2)], 0x400000003f800000n],
  // A NaN is not what it is compared with.
  ["set.neu.u32.bf16x2 %0, %1, %2;", "rrr", [0xff80_7fc0, 0xff80_ff80], 0x0000ffff],
  ["set.neu.u32.f16x2 %0, %1, %2;", "rrr", [0x3c00_fc00, 0xfc00_fc00], 0xffff0000],
  // Numbers become integers: nearest or towards a side, as far as there are integers.
  ["cvt.rzi.s32.f32 %0, %1;", "rf", [f(-2.9)], 0xfffffffe],
  ["cvt.rzi.s32.f32 %0, %1;", "rf", [f(3e9)], 0x7fffffff],
  ["cvt.rzi.s32.f32 %0, %1;", "rf", [f(Number.NaN)], 0],
  ["cvt.rzi.s64.f32 %0, %1;", "lf", [f(Number.NaN)], 1n << 63n],
  ["cvt.rzi.u32.f32 %0, %1;", "rf", [f(-1)], 0],
  ["cvt.rni.s32.f32 %0, %1;", "rf", [f(2.5)], 2],
  ["cvt.rmi.f32.f32 %0, %1;", "ff", [f(-0.5)], f(-1)],
  ["cvt.rn.f32.s64 %0, %1;", "fl", [16777217], f(16777216)],
  ["cvt.rn.f32.f64 %0, %1;", "fd", [d(1 + 2 ** -24)], f(1)],
  ["cvt.sat.f32.f32 %0, %1;", "ff", [f(1.5)], f(1)],
  ["cvt.sat.f32.f32 %0, %1;", "ff", [f(-1)], f(0)],
  ["cvt.sat.f32.f32 %0, %1;", "ff", [f(Number.NaN)], f(0)],
  ["cvt.s64.s32 %0, %1;", "lr", [0xfffffffb], 0xfffffffffffffffbn],
  ["cvt.u64.u32 %0, %1;", "lr", [0xfffffffb], 0xfffffffb],
  ["cvt.s32.s8 %0, %1;", "rr", [0x1280], 0xffffff80],
  // Integers: a shift by the whole width leaves nothing but signs.
  ["shl.b32 %0, %1, %2;", "rrr", [1, 32], 0],
  ["shl.b64 %0, %1, %2;", "llr", [3, 63], 1n << 63n],
  ["shr.u32 %0, %1, %2;", "rrr", [0x80000000, 33], 0],
  ["shr.s32 %0, %1, %2;", "rrr", [0x80000000, 40], 0xffffffff],
  ["shr.s32 %0, %1, %2;", "rrr", [0xfffffff8, 2], 0xfffffffe],
  ["mul.wide.s32 %0, %1, %2;", "lrr", [0xfffffffe, 3], 0xfffffffffffffffan],
  ["mul.wide.u32 %0, %1, %2;", "lrr", [0xfffffffe, 3], 0x2fffffffan],
  ["mul.lo.s32 %0, %1, %2;", "rrr", [0x10001, 0x10001], 0x20001],
  ["mad.lo.s32 %0, %1, %2, %3;", "rrrr", [0xffffffff, 5, 3], 0xfffffffe],
  ["add.s32 %0, %1, %2;", "rrr", [0x7fffffff, 1], 0x80000000],
  ["rem.s32 %0, %1, %2;", "rrr", [0xfffffff9, 4], 0xfffffffd],
  ["max.s32 %0, %1, %2;", "rrr", [0xffffffff, 1], 1],
  ["max.u32 %0, %1, %2;", "rrr", [0xffffffff, 1], 0xffffffff],
  ["bfi.b32 %0, %1, %2, 8, 4;", "rrr", [0xff, 0x10000001], 0x10000f01],
  ["bfi.b32 %0, %1, %2, 24, 32;", "rrr", [0x1234, 0x00ffffff], 0x34ffffff],
  // Floating point is rounded once.
  ["fma.rn.f32 %0, %1, %2, %3;", "ffff", [f(1 + 2 ** -12), f(1 + 2 ** -12), f(-1 - 2 ** -11)], f(2 ** -24)],
  // 1.75 · 37/64 lies halfway between two of bf16, and 2^-40 below it is the lower one. Infinity times 0 is none.
  ["fma.rn.bf16x2 %0, %1, %2, %3;", "rrrr", [0x7f803fe0, 0x00003f14, 0x0000ab80], 0x7fff3f81],
  ["fma.rn.f16x2 %0, %1, %2, %3;", "rrrr", [0x7c003c00, 0x00004000, 0x00003c00], 0x7fff4200],
  ["add.rz.f32 %0, %1, %2;", "fff", [f(1), f(0.75 * 2 ** -23)], f(1)],
  ["add.rn.f32 %0, %1, %2;", "fff", [f(1), f(0.75 * 2 ** -23)], f(1 + 2 ** -23)],
  ["fma.rm.f32 %0, %1, %2, %3;", "ffff", [f(-1), f(1), f(-(2 ** -30))], 0xbf800001],
  ["div.rn.f32 %0, %1, %2;", "fff", [f(1), f(3)], 0x3eaaaaab],
  ["sqrt.rn.f32 %0, %1;", "ff", [f(2)], 0x3fb504f3],
  ["ex2.approx.ftz.f32 %0, %1;", "ff", [f(3)], f(8)],
  ["ex2.approx.ftz.f32 %0, %1;", "ff", [f(-130)], 0],
  ["ex2.approx.ftz.f32 %0, %1;", "ff", [f(-Infinity)], 0],
  ["copysign.f32 %0, %1, %2;", "fff", [f(-1), f(2)], f(-2)],
  ["abs.f32 %0, %1;", "ff", [f(-0)], 0],
  ["neg.f32 %0, %1;", "ff", [f(0)], f(-0)],
  // NaNs win where that is asked for, and give way where it is not.
  ["max.NaN.f32 %0, %1, %2;", "fff", [f(Number.NaN), f(1)], 0x7fffffff],
  ["min.NaN.f32 %0, %1, %2;", "fff", [f(1), f(Number.NaN)], 0x7fffffff],
  ["max.NaN.bf16x2 %0, %1, %2;", "rrr", [0x7fc03f80, 0x3f80bf80], 0x7fff3f80],
  ["max.NaN.f16x2 %0, %1, %2;", "rrr", [0x8000fc00, 0x00003c00], 0x00003c00],
  ["max.f32 %0, %1, %2;", "fff", [f(Number.NaN), f(1)], f(1)],
  ["min.f32 %0, %1, %2;", "fff", [f(1), f(Number.NaN)], f(1)],
  ["max.f32 %0, %1, %2;", "fff", [f(-0), f(0)], f(0)],
  ["min.NaN.f32 %0, %1, %2;", "fff", [f(0), f(-0)], f(-0)],
  ["{ .reg .pred p; setp.ne.u32 p, %3, 0; selp.b32 %0, %1, %2, p; }", "rrrr", [7, 8, 1], 7],
  [
    "{ .reg .pred p; setp.ne.u32 p, %3, 0; @!p bra next; mov.u32 %0, %1; bra.uni done; next: mov.u32 %0, %2; done: }",
    "rrrr",
    [7, 8, 0],
    8,
  ],
  compare("lt", Number.NaN, 1, 0),
  compare("ltu", Number.NaN, 1, 1),
  compare("lt", 1, 1, 0),
  compare("ltu", 1, 1, 0),
  compare("ne", Number.NaN, 1, 0),
  compare("neu", Number.NaN, 1, 1),
  compare("equ", Number.NaN, 1, 1),
  compare("eq", -0, 0, 1),
  compare("geu", 0, 1, 0),
  compare("num", 0, 1, 1),
  compare("nan", Number.NaN, 1, 1),
];

function assembled([assembly, types]: Case, i: number): string {
  const [to, ...from] = [...types] as Type[] as [Type, ...Type[]];
  const inputs = from.map((type, k) => `"${type}"(${TYPES[type][1]}(a.in[${4 * i + k}]))`);
  return `{ ${TYPES[to][0]} to; asm volatile("${assembly}" : "=${to}"(to) : ${inputs.join(", ")}); a.out[${i}] = ${TYPES[to][2]}(to); }`;
}

const text = `
struct Numbers { const unsigned long long* in; unsigned long long* out; };
extern "C" __global__ void arithmetic(const __grid_constant__ Numbers a) {
  ${CASES.map(assembled).join("\n  ")}
}

struct Args { float* x; long long n; };
#define KERNEL(name) extern "C" __global__ void name(const __grid_constant__ Args a)
extern __shared__ __align__(16) float words[];

KERNEL(packets) { reinterpret_cast<float4*>(a.x + a.n)[0] = float4{1, 2, 3, 4}; }
KERNEL(entry) { a.x[a.n] = 1; }
template <bool MEET> __device__ void turned(const Args& a) {
  words[threadIdx.x + a.n] = a.x[threadIdx.x];
  if (MEET) __syncthreads();
  a.x[threadIdx.x] = words[blockDim.x - 1 - threadIdx.x + a.n];
}
KERNEL(reversed) { turned<true>(a); }
KERNEL(hasty) { turned<false>(a); }
KERNEL(shuffled) { a.x[threadIdx.x] = __shfl_sync(unsigned(a.n), a.x[threadIdx.x], threadIdx.x ^ 1); }
extern "C" __global__ void __launch_bounds__(64) bounded() {}
extern "C" __global__ void __attribute__((cluster_dims(2, 1, 1))) exchanged(const __grid_constant__ Args a) {
  unsigned rank, there;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(unsigned(__cvta_generic_to_shared(words + threadIdx.x))), "r"(rank ^ 1));
  const long long i = blockIdx.x * blockDim.x + threadIdx.x;
  asm volatile("barrier.cluster.arrive.release.aligned;\\n barrier.cluster.wait.acquire.aligned;" ::: "memory");
  asm volatile("st.shared::cluster.f32 [%0], %1;" :: "r"(there), "f"(a.x[i]) : "memory");
  asm volatile("barrier.cluster.arrive.release.aligned;\\n barrier.cluster.wait.acquire.aligned;" ::: "memory");
  a.x[i] = words[threadIdx.x];
}
`;

describe.skipIf(nvcc === null)(nvcc === null ? "nvcc is absent" : "PTX", async () => {
  const binary = nvcc === null ? new Uint8Array() : (await addon.compileCuda(text, options)).binary;
  beforeEach(() => void machine.take());
  afterEach(() => void delete process.env.LOSSC_FAKE_RACES);

  /** Runs a kernel on 0, 1, 2, …, one for each of 64 threads; returns the results. */
  async function run(kernel: string, n: number, shape: Partial<LaunchShape>): Promise<number[]> {
    const device = addon.openCuda({ ordinal: 0 });
    try {
      const buffer = device.allocate(256);
      const out = new Float32Array(64);
      await device.run([
        { kind: "write", to: buffer, offset: 0, from: out.map((_, i) => i) },
        launch(await device.load(binary), kernel, [{ pointer: buffer }, { int: n }], {
          elements: 1,
          block: 64,
          shared: 256,
          ...shape,
        }),
        { kind: "read", from: buffer, offset: 0, to: out },
      ]);
      return [...out];
    } finally {
      await device.dispose();
    }
  }

  test("instructions give what was worked out by hand", async () => {
    const device = addon.openCuda({ ordinal: 0 });
    const [from, to] = [device.allocate(CASES.length * 32), device.allocate(CASES.length * 8)];
    const operands = BigUint64Array.from(CASES.flatMap(([, , given]) => [0, 1, 2, 3].map((k) => BigInt(given[k] ?? 0))));
    const out = new BigUint64Array(CASES.length);
    await device.run([
      { kind: "write", to: from, offset: 0, from: operands },
      launch(await device.load(binary), "arithmetic", [{ pointer: from }, { pointer: to }], { elements: 1 }),
      { kind: "read", from: to, offset: 0, to: out },
    ]);
    await device.dispose();
    const shown = (values: readonly (number | bigint)[]) =>
      CASES.map(([assembly], i) => `${assembly} ${values[i]?.toString(16)}`);
    expect(shown([...out])).toEqual(shown(CASES.map(([, , , expected]) => expected)));
  });

  const numbers = Array.from({ length: 64 }, (_, i) => i);
  test.each<readonly [string, number, Partial<LaunchShape>, readonly number[]]>([
    ["packets", 4, { block: 1 }, [0, 1, 2, 3, 1, 2, 3, 4, ...numbers.slice(8)]],
    ["reversed", 0, {}, numbers.map((i) => 63 - i)],
    ["shuffled", 0xffffffff, {}, numbers.map((i) => i ^ 1)],
    ["bounded", 0, {}, numbers],
    ["exchanged", 0, { block: 32, cluster: 2 }, numbers.map((i) => (i + 32) % 64)],
  ])("%s, as it should be", async (kernel, n, shape, expected) => {
    process.env.LOSSC_FAKE_RACES = "1";
    expect(await run(kernel, n, shape)).toEqual(expected);
  });

  test.each([
    { kernel: "packets", n: 1, shape: { block: 1 }, fault: /^thread 0 of block 0: a misaligned access, 16 bytes/ },
    { kernel: "packets", n: 64, shape: { block: 1 }, fault: /an access to global memory of no allocation, 16 bytes/ },
    { kernel: "entry", n: -1, shape: { block: 1 }, fault: /an access to global memory of no allocation, 4 bytes/ },
    { kernel: "reversed", n: 0, shape: { shared: 252 }, fault: /an access beside shared memory, 4 bytes at 0xfc/ },
    { kernel: "reversed", n: -1, shape: {}, fault: /an access beside shared memory/ },
    { kernel: "shuffled", n: 0xff, shape: {}, fault: /^thread 8 of block 0: a shuffle among lanes that are no aligned group/ },
    { kernel: "shuffled", n: 0, shape: {}, fault: /a shuffle among lanes that are no aligned group/ },
  ])("$kernel, n $n: $fault", async ({ kernel, n, shape, fault }) => {
    await expectCode("DEVICE_FAULT", () => run(kernel, n, shape), /CUDA_ERROR_ILLEGAL_ADDRESS/);
    expect(machine.take().entries.find(({ call }) => call === "ptxFault")?.message).toMatch(fault);
    // A fault is no part of the next launch.
    expect((await run("reversed", 0, {}))[0]).toBe(63);
  });

  test("a block may not have more threads than the kernel's bounds allow", async () => {
    await expectCode(
      "DEVICE_FAULT",
      () => run("bounded", 0, { block: 96 }),
      /launching kernel bounded.*CUDA_ERROR_INVALID_VALUE/,
    );
  });

  test("a barrier that is missing is a race", async () => {
    process.env.LOSSC_FAKE_RACES = "1";
    await expectCode("DEVICE_FAULT", () => run("hasty", 0, {}), /CUDA_ERROR_LAUNCH_FAILED/);
    expect(machine.take().entries.find(({ call }) => call === "laneFault")?.message).toMatch(
      /^there is a race for byte \d+ of the shared memory of block 0/,
    );
  });

  const kernel = text.slice(text.indexOf("struct Args"), text.indexOf("extern __shared__"));
  test.each([
    {
      what: "instructions, their modifiers and special registers",
      code: `KERNEL(k) { asm volatile("griddepcontrol.wait; add.rn.ftz.f32 %0, %0, %0;" : "+f"(a.x[0])); a.x[1] = gridDim.x; }`,
      log: /op_griddepcontrol_wait.*op_add_rn_ftz.*_nctaid/s,
    },
    {
      what: "static shared memory",
      code: "KERNEL(k) { __shared__ float s[64]; s[a.n] = a.n; __syncthreads(); a.x[0] = s[1]; }",
      log: /not understood of the PTX: \.shared/,
    },
    { what: "variables of the unit", code: "__device__ float total; KERNEL(k) { total = a.n; }", log: /\.global/ },
    {
      what: "a lane's own memory",
      code: "KERNEL(k) { float v[9]; for (float& x : v) x = a.x[0]; a.x[1] = v[a.n]; }",
      log: /\.local/,
    },
    {
      what: "functions",
      code: "__device__ __noinline__ float one(float x) { return x + 1; } KERNEL(k) { a.x[0] = one(a.x[1]); }",
      log: /\.func/,
    },
    {
      what: "several parameters",
      code: 'extern "C" __global__ void k(float* x, float y) { *x = y; }',
      log: /several parameters of k/,
    },
  ])("$what: not understood, and COMPILE_FAILED", async ({ code, log }) => {
    const error = await failure(() => addon.compileCuda(kernel + code, options));
    expect(error.code).toBe("COMPILE_FAILED");
    expect(error.log).toMatch(log);
  });
});
