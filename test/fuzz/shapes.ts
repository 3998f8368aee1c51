/** Shapes: random losses and those that ship, on batches of every shape, give what float32 arithmetic allows beside `reference`. */
import fc from "fast-check";
import { compilePlan } from "../../codegen/compile.js";
import { type CompiledLoss, type Device, type LossDefinition, openDevice } from "../../index.js";
import { builtins } from "../../losses/index.js";
import { compileBatch } from "../../runtime/compiled/compile-batch.js";
import { checkConfig } from "../../runtime/inputs/config.js";
import { type Batch, batchOf } from "../properties/batch.js";
import { type Case, casesOf, checkUnit } from "../properties/compare.js";
import { checkHead } from "../properties/head.js";
import { type Kind, recipes } from "../properties/recipe.js";
import { numbersFrom } from "../sample.js";
import type { Fuzzer, Round } from "./fuzzer.js";

/** Compiling is what takes long: a few losses per round, which then meet many shapes. */
const RANDOM = 3;
const SHIPPED = 1;
const KINDS: readonly Kind[] = [
  { smooth: false, from: "logits", groups: false },
  { smooth: false, from: "logits", groups: true },
  { smooth: false, from: "logits", groups: true, rows: true },
  { smooth: false, from: "policy_logprobs", groups: true },
];
/** Shorter and longer than packets, teams and blocks, and one more and one less. */
const VOCABS = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 65, 127, 129, 255, 257, 1000, 1025, 2049];
const LENGTHS = [15, 16, 17, 31, 32, 33, 64, 65, 255, 257, 1023, 1024, 1025];
/** Entries of a batch. The lanes of `emulated` take their time. */
const entriesOn = (device: string) => (device === "emulated" ? 2500 : 10_000);

interface ShapesCase {
  readonly loss: number;
  readonly vocab: number;
  readonly seed: number;
  readonly lengths: readonly number[];
  readonly masked: boolean;
  /** From hidden states of so many numbers, where the loss reads logits. */
  readonly width: number | null;
}

const cases: fc.Arbitrary<ShapesCase> = fc.record({
  loss: fc.nat(RANDOM + SHIPPED - 1),
  vocab: fc.nat(1),
  seed: fc.nat(0x7fffffff),
  lengths: fc.array(fc.oneof(fc.constant(0), fc.constant(1), fc.nat(9), fc.constantFrom(...LENGTHS)), { maxLength: 6 }),
  masked: fc.oneof({ weight: 7, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  width: fc.option(fc.integer({ min: 1, max: 5 }), { freq: 3 }),
});

/** As many sequences, from the first, as have no more entries than that; two at least, for losses that compare pairs. */
function within(lengths: readonly number[], entries: number, pairs: boolean): number[] {
  let left = entries;
  const fitting = lengths.filter((length) => {
    if (length > left) return false;
    left -= length;
    return true;
  });
  while (pairs && fitting.length < 2) fitting.push(1);
  return fitting;
}

/** A batch for a loss that ships: the tokens and logits of a random one, and the inputs that the loss declares. */
function shippedBatch(loss: LossDefinition, { seed, lengths, masked }: ShapesCase, vocab: number): Batch {
  const rows = Object.values(loss.inputs).some(({ space }) => space === "vocab");
  const { input, given, skipMasked } = batchOf(seed, {
    from: "logits",
    groups: false,
    smooth: false,
    rows,
    vocab,
    lengths,
    masked,
  });
  const groups = Array.from({ length: lengths.length >> 1 }, (_, i) => (i === 0 ? 2 + (lengths.length % 2) : 2));
  const random = numbersFrom(seed + 1);
  const tokens = lengths.reduce((a, b) => a + b, 0);
  const counts = { vocab: tokens * vocab, token: tokens, sequence: lengths.length, group: groups.length, entry: vocab, batch: 1 };
  const numbers = (length: number) => Float64Array.from({ length }, () => Math.fround(random() * 4 - 2));
  const own = Object.entries(loss.inputs).map(([name, { space }]) => [name, numbers(counts[space])] as const);
  const { weights } = input.inputs;
  const inputs = { ...Object.fromEntries(own), ...(weights && { weights }) };
  return {
    input: { ...input, groups, inputs, config: checkConfig(loss).scalars },
    given: {
      lengths,
      groups,
      vocab,
      logits: given.logits,
      target_tokens: given.target_tokens,
      ...Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, Float32Array.from(x)])),
    },
    skipMasked,
  };
}

/** A loss that is compiled, and the case of one shape. */
interface Made {
  readonly compiled: CompiledLoss;
  readonly pairs: boolean;
  case(one: ShapesCase, vocab: number): Case;
}

class ShapesRound implements Round<ShapesCase> {
  readonly cases = cases;

  private constructor(
    private readonly device: Device,
    private readonly made: readonly Made[],
    private readonly vocabs: readonly number[],
    private readonly from: Kind["from"],
  ) {}

  static async open(name: string, seed: number): Promise<ShapesRound> {
    const device = await openDevice(name);
    const random = numbersFrom(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const vocabs = [pick(VOCABS), pick(VOCABS)];
    const kind = pick(KINDS);
    const names = Array.from({ length: SHIPPED }, () => pick(Object.keys(builtins)));
    const flags = process.env.LOSSC_CXXFLAGS;
    // These losses are run for a second or two: optimising them would take longer.
    process.env.LOSSC_CXXFLAGS = "-O0";
    try {
      const drawn = fc.sample(recipes(), { seed, numRuns: RANDOM });
      const unit = casesOf(drawn, kind, vocabs);
      const shipped = names.map((of) => builtins[of] as LossDefinition);
      const both = [...(await unit.make(device)), ...(await compileBatch(device, shipped, { dtype: "f32", vocab: vocabs }))];
      const made = both.map((compiled, i): Made => {
        const ships = shipped[i - RANDOM];
        if (!ships) {
          const base = unit.cases[i] as Case;
          const made = ({ seed, lengths, masked }: ShapesCase, vocab: number) =>
            batchOf(seed, { ...kind, vocab, lengths, masked });
          return { compiled, pairs: false, case: (one, vocab) => ({ ...base, vocab, batch: made(one, vocab) }) };
        }
        const base = {
          recipe: { ...(drawn[0] as Case["recipe"]), seed },
          kind: KINDS[2] as Kind,
          text: () => `the loss ${ships.name}`,
          compiled: compilePlan({ loss: ships, logits: "f32" }),
        };
        return { compiled, pairs: true, case: (one, vocab) => ({ ...base, vocab, batch: shippedBatch(ships, one, vocab) }) };
      });
      return new ShapesRound(device, made, vocabs, kind.from);
    } finally {
      if (flags === undefined) delete process.env.LOSSC_CXXFLAGS;
      else process.env.LOSSC_CXXFLAGS = flags;
    }
  }

  async check(one: ShapesCase): Promise<void> {
    const { compiled, pairs, case: caseOf } = this.made[one.loss] as Made;
    const vocab = this.vocabs[one.vocab] as number;
    const fromRows = pairs || this.from === "logits";
    const lengths = within(one.lengths, entriesOn(this.device.name) / (fromRows ? vocab : 1), pairs);
    const it = caseOf({ ...one, lengths }, vocab);
    const tally = { graphs: 0, tight: 0, loose: 0, calls: 0 };
    if (one.width !== null && fromRows && !pairs) await checkHead(it, compiled, tally, one.width);
    else await checkUnit([it], [compiled], tally);
  }

  async close(): Promise<void> {
    await this.device.dispose();
  }
}

export const shapes: Fuzzer<ShapesCase> = { runs: 120, open: ShapesRound.open };
