/**
 * Memory kinds: the same numbers, handed in by every way there is, in place or not, alone or with others at once, give the same bits and leave all
 * other memory alone.
 */
import fc from "fast-check";
import {
  add,
  type CompiledLoss,
  type Device,
  type DeviceBuffer,
  defineLoss,
  exp,
  LosscError,
  type LossDefinition,
  type LossInputs,
  type LossResult,
  mean,
  mul,
  neg,
  openDevice,
  softmax,
  sub,
  sum,
  type TypedArray,
} from "../../index.js";
import {
  type Float16Numbers,
  isResizable,
  narrowInto,
  bitsOf as storedBits,
  viewOf,
  widen,
} from "../../runtime/devices/dtypes.js";
import { numbersFrom } from "../sample.js";
import { bitsOf, type Fuzzer, type Round } from "./fuzzer.js";
import { type Held, holdersOf, type Place, type Role } from "./holders.js";

/** Inputs of every space, by rows and without. */
const LOSSES = {
  rows: defineLoss({
    name: "every kind of input",
    inputs: { a: "token", s: "sequence", g: "group", e: "batch", v: "vocab" },
    loss(policy, inputs) {
      const ratio = exp(sub(policy.logprobs, inputs.a));
      const apart = sum(mul(softmax(policy.logits), inputs.v), "vocab");
      return {
        loss: neg(mul(ratio, add(inputs.s, mul(inputs.g, add(inputs.e, apart))))),
        metrics: { entropy: mean(policy.entropy) },
        outputs: { ratio },
      };
    },
  }),
  logprobs: defineLoss({
    name: "every kind of input but rows",
    inputs: { a: "token", s: "sequence", g: "group", e: "batch" },
    loss(policy, inputs) {
      const ratio = exp(sub(policy.logprobs, inputs.a));
      return { loss: neg(mul(ratio, add(inputs.s, mul(inputs.g, inputs.e)))), outputs: { ratio } };
    },
  }),
};

const FROM = ["logits", "policy_logprobs", "hidden"] as const;
const DTYPES = ["f32", "bf16", "f16"] as const;
type Dtype = (typeof DTYPES)[number];

/** How one call of several is made. Holders are numbered; a place is taken modulo how many fit. */
interface Way {
  readonly holders: readonly number[];
  readonly places: readonly Place[];
  readonly inPlace: boolean;
  /** One input is a part of the very memory that holds what the policy gives. */
  readonly overlaps: boolean;
}

interface MemoryCase {
  readonly seed: number;
  readonly from: (typeof FROM)[number];
  readonly dtype: Dtype;
  readonly vocab: number;
  readonly width: number;
  readonly lengths: readonly number[];
  /** Calls that run at once. */
  readonly ways: readonly Way[];
}

const WIDEST = 9;
const ways = fc.array(
  fc.record({
    holders: fc.array(fc.nat(7), { minLength: WIDEST, maxLength: WIDEST }),
    places: fc.array(
      fc.record({ offset: fc.nat(9), memory: fc.constantFrom("own" as const, "shared" as const, "resizable" as const) }),
      { minLength: WIDEST, maxLength: WIDEST },
    ),
    inPlace: fc.boolean(),
    overlaps: fc.boolean(),
  }),
  { minLength: 1, maxLength: 3 },
);
const cases: fc.Arbitrary<MemoryCase> = fc.record({
  seed: fc.nat(0x7fffffff),
  from: fc.constantFrom(...FROM),
  dtype: fc.constantFrom(...DTYPES),
  vocab: fc.constantFrom(1, 5, 16, 33),
  width: fc.integer({ min: 1, max: 9 }),
  lengths: fc.array(fc.nat(12), { minLength: 1, maxLength: 4 }),
  ways,
});

interface Given {
  readonly name: string;
  readonly role: Role;
  readonly numbers: readonly number[];
}

/** Eighths, which every dtype holds exactly. */
function givenOf({ seed, from, vocab, width, lengths, ways }: MemoryCase): {
  readonly rest: LossInputs;
  readonly arrays: readonly Given[];
} {
  const random = numbersFrom(seed);
  const eighths = (length: number, least = -32, most = 32) =>
    Array.from({ length }, () => (least + Math.floor(random() * (most - least + 1))) / 8);
  // From -2 to 2: their products, the logits, are made in the dtype, and are to be exact.
  const halves = (length: number) => eighths(length, -4, 4).map((x) => 4 * x);
  const tokens = lengths.reduce((a, b) => a + b, 0);
  const groups = lengths.length === 1 ? [1] : [1, lengths.length - 1];
  const policy = (name: string, numbers: number[]): Given => ({ name, role: "policy", numbers });
  const rows: Given[] = [
    { name: "target_tokens", role: "tokens", numbers: Array.from({ length: tokens }, () => Math.floor(random() * vocab)) },
    { name: "v", role: "input", numbers: eighths(tokens * vocab) },
  ];
  const source = {
    logits: () => [policy("logits", eighths(tokens * vocab)), ...rows],
    hidden: () => [policy("hidden", halves(tokens * width)), policy("head", halves(vocab * width)), ...rows],
    policy_logprobs: () => [policy("policy_logprobs", eighths(tokens, -32, 0))],
  }[from]();
  const own = eighths(tokens);
  // Where one call finds these in the memory of the first, all calls are to have the same numbers.
  const first = source[0] as Given;
  const a = ways.some(({ overlaps }) => overlaps) ? first.numbers.slice(0, tokens) : own;
  return {
    rest: { lengths, groups, e: 0.5, ...(from === "logits" && { vocab }), ...(from === "hidden" && { hidden_size: width }) },
    arrays: [
      ...source,
      { name: "a", role: "input", numbers: a },
      { name: "s", role: "input", numbers: eighths(lengths.length) },
      { name: "g", role: "input", numbers: eighths(groups.length) },
      {
        name: "weights",
        role: "input",
        numbers: Array.from({ length: tokens }, () => [0, 1, 0.5, -1][Math.floor(random() * 4)] as number),
      },
    ],
  };
}

/** A gradient in the dtype of what it is the gradient of: `reference` gives float64 where it makes the array. */
async function inDtype(gradient: TypedArray | Float16Numbers | DeviceBuffer, dtype: Dtype): Promise<TypedArray> {
  const array = "read" in gradient ? await gradient.read() : storedBits(gradient);
  if (!(array instanceof Float64Array)) return array;
  const rounded = viewOf(dtype, new ArrayBuffer(4 * array.length), 0, array.length);
  narrowInto(rounded, dtype, array);
  return rounded;
}

async function everyBit(result: LossResult, dtype: Dtype): Promise<string> {
  const { loss, metrics, logprobs, outputs, gradLogits, gradLogprobs, gradHidden, gradHead } = result;
  const gradients = [gradLogits, gradLogprobs, gradHidden, gradHead].filter((gradient) => gradient !== undefined);
  return JSON.stringify({
    loss: String(loss),
    metrics,
    logprobs: logprobs && bitsOf(logprobs),
    outputs: Object.entries(outputs).map(([key, x]) => [key, bitsOf(x)]),
    gradients: await Promise.all(gradients.map(async (gradient) => bitsOf(await inDtype(gradient, dtype)))),
  });
}

/** The first numbers of float32 memory, in the memory itself; null where they cannot be had so. */
function partOf(memory: Held["own"], length: number): object | null {
  if (memory instanceof Float32Array) return memory.subarray(0, length);
  return memory && "dtype" in memory && memory.dtype === "f32" && memory.length === length ? memory : null;
}

function same(what: string, got: string, wanted: string): void {
  if (got !== wanted) throw new Error(`${what}\n  is        ${got}\n  instead of ${wanted}`);
}

class MemoryRound implements Round<MemoryCase> {
  readonly cases = cases;

  private constructor(
    private readonly device: Device,
    private readonly reference: Device,
    private readonly compiled: Readonly<Record<keyof typeof LOSSES, readonly [CompiledLoss, CompiledLoss]>>,
  ) {}

  static async open(name: string): Promise<MemoryRound> {
    const [device, reference] = [await openDevice(name), await openDevice("reference")];
    const on = async (loss: unknown) =>
      [await device.compile(loss as LossDefinition), await reference.compile(loss as LossDefinition)] as const;
    return new MemoryRound(device, reference, { rows: await on(LOSSES.rows), logprobs: await on(LOSSES.logprobs) });
  }

  async check(one: MemoryCase): Promise<void> {
    const dtype = one.from === "policy_logprobs" ? "f32" : one.dtype;
    const { rest, arrays } = givenOf(one);
    const [compiled, oracle] = this.compiled[one.from === "policy_logprobs" ? "logprobs" : "rows"];
    const plain = (of: Dtype): LossInputs => ({
      ...rest,
      ...Object.fromEntries(
        arrays.map(({ name, role, numbers }) => [name, role === "policy" ? inDtypeOf(numbers, of) : numbers]),
      ),
    });
    const result = await compiled.forwardBackward(plain(dtype));
    near(result, await oracle.forwardBackward(plain(dtype)), dtype);
    const wanted = await everyBit(result, dtype);
    await Promise.all(one.ways.map((way) => this.call(compiled, rest, arrays, dtype, way, wanted)));
  }

  /** One call with its arrays held in one way. */
  private async call(compiled: CompiledLoss, rest: LossInputs, arrays: readonly Given[], dtype: Dtype, way: Way, wanted: string) {
    const held = await Promise.all(
      arrays.map(({ role, numbers }, i): Held | Promise<Held> => {
        const holders = holdersOf(role, dtype);
        // Only an array can have a part.
        const at = way.overlaps && i === 0 ? 0 : (way.holders[i] as number);
        const holder = holders[at % holders.length] as (typeof holders)[number];
        return holder(numbers, way.places[i] as Place, this.device);
      }),
    );
    const before = await Promise.all(held.map((it) => it.read()));
    const around = held.map((it) => it.around());
    const inPlace = way.inPlace && held[0]?.own !== null;
    const overlapping = way.overlaps
      ? partOf((held[0] as Held).own, arrays.find(({ name }) => name === "a")?.numbers.length ?? 0)
      : null;
    const given = {
      ...rest,
      ...Object.fromEntries(arrays.map(({ name }, i) => [name, held[i]?.given])),
      ...(overlapping && { a: overlapping }),
    } as LossInputs;
    let result: LossResult;
    try {
      result = await compiled.forwardBackward(given, {}, { inPlace });
    } catch (error) {
      const code = inPlace && error instanceof LosscError ? error.code : null;
      const expected = canShrink(held[0]?.own) ? "INPUT_DTYPE" : overlapping ? "INPUT_OVERLAP" : "none";
      if (code !== expected) throw error;
      // Refused before anything is written.
      for (const [i, it] of held.entries()) same((arrays[i] as Given).name, await it.read(), before[i] as string);
      return;
    }
    same("the result", await everyBit(result, dtype), wanted);
    const gradient = result.gradLogits ?? result.gradLogprobs ?? result.gradHidden;
    if (inPlace && gradient !== held[0]?.own) throw new Error("the gradient in place is not where its source was");
    for (const [i, it] of held.entries()) {
      const { name } = arrays[i] as Given;
      if (!(inPlace && i === 0)) same(name, await it.read(), before[i] as string);
      same(`what lies around ${name}`, it.around(), around[i] as string);
    }
    for (const made of [gradient, result.gradHead]) if (made && "dispose" in made && made !== held[0]?.own) made.dispose();
    for (const it of held) it.dispose();
  }

  async close(): Promise<void> {
    await Promise.all([this.device.dispose(), this.reference.dispose()]);
  }
}

/** Memory that nothing is written to in place. */
function canShrink(memory: Held["own"] | undefined): boolean {
  return ArrayBuffer.isView(memory) && isResizable(memory);
}

function inDtypeOf(numbers: readonly number[], dtype: Dtype): unknown {
  const data = viewOf(dtype, new ArrayBuffer(4 * numbers.length), 0, numbers.length);
  narrowInto(data, dtype, numbers);
  return dtype === "f32" ? data : { data, dtype };
}

/**
 * Beside the float64 of `reference`: what float32 sums of a few dozen numbers may lose, and what rounding to the dtype does. From hidden states the
 * gradient of the logits is rounded on the way, too, before it is summed.
 */
function near(got: LossResult, wanted: LossResult, dtype: Dtype): void {
  const size = 64 * (1 + (wanted.outputs.ratio as Float64Array).reduce((total, ratio) => total + ratio, 0));
  const hold = (what: string, a: number, b: number, relative: number, absolute = 1e-6) => {
    const allowed = relative * Math.abs(b) + absolute * size;
    if (!(Math.abs(a - b) <= allowed)) throw new Error(`${what} is ${a} instead of ${b} ± ${allowed}`);
  };
  hold("the loss", got.loss, wanted.loss, 1e-5);
  for (const name of ["gradLogits", "gradLogprobs", "gradHidden", "gradHead"] as const) {
    const [a, b] = [got[name], wanted[name]] as (TypedArray | undefined)[];
    const absolute = got.gradHidden && dtype !== "f32" ? 2 ** -9 : 1e-6;
    if (a && b) widen(a, dtype).forEach((x, i) => void hold(`${name}[${i}]`, x, b[i] as number, 2 ** -7, absolute));
  }
}

export const memory: Fuzzer<MemoryCase> = { runs: 100, open: MemoryRound.open };
