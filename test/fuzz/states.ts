/**
 * States: what was saved loads with the same bits; of a file that was damaged in any way either that comes back, or a `LosscError` and the policy as
 * it was.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import {
  type Device,
  LosscError,
  openDevice,
  ParameterSet,
  type PolicyState,
  type Tensor,
  TrainingClient,
  type TrainingPolicy,
} from "../../index.js";
import { numbersFrom } from "../sample.js";
import { bitsOf, type Fuzzer, type Round } from "./fuzzer.js";
import { type Damage, damaged, damages, firstFormat } from "./state-bytes.js";

interface StatesCase {
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly seed: number;
  readonly step: number;
  /** As saved, or in the format that was written first. */
  readonly format: "saved" | "first";
  readonly damage: Damage;
}

const name = fc.oneof(
  fc.constantFrom("a", "b", "layers.0/weight", "constructor", "__proto__", "step", "", 'ä\u0000\n"', "\u{1f600}"),
  fc.string({ unit: "binary", maxLength: 12 }),
);
const cases: fc.Arbitrary<StatesCase> = fc.record({
  tensors: fc.uniqueArray(fc.record({ name, shape: fc.array(fc.nat(4), { maxLength: 3 }) }), {
    selector: (tensor) => tensor.name,
    maxLength: 4,
  }),
  seed: fc.nat(0x7fffffff),
  step: fc.nat(1000),
  format: fc.constantFrom("saved", "first"),
  damage: damages,
});

/** A policy whose layers nobody asks for. */
type Stateful = Pick<TrainingPolicy, "state" | "load">;

/** For the device on which no policy runs: one that keeps its state, if it is of the names and shapes that it knows. */
function keeper(tensors: StatesCase["tensors"]): Stateful {
  let held = stateOf(tensors, 0, 0);
  const shapes = (state: PolicyState) =>
    JSON.stringify(
      Object.entries(state.tensors)
        .map(([key, { shape }]) => [key, shape])
        .sort(),
    );
  return {
    state: async () => held,
    async load(state) {
      if (shapes(state) !== shapes(held)) throw new LosscError("INPUT_LENGTH", "the state is of another policy");
      held = state;
    },
  };
}

/** Any bits at all, NaN of every kind among them. */
function stateOf(tensors: StatesCase["tensors"], step: number, seed: number): PolicyState {
  const random = numbersFrom(seed);
  const entries = tensors.map(({ name, shape }): [string, Tensor] => {
    const words = Uint32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random() * 2 ** 32);
    return [name, { shape, data: new Float32Array(words.buffer) }];
  });
  return { step, tensors: Object.fromEntries(entries) };
}

async function everyBit(policy: Stateful): Promise<string> {
  const { step, tensors } = await policy.state();
  return JSON.stringify([
    step,
    Object.entries(tensors)
      .map(([key, { shape, data }]) => [key, shape, bitsOf(data)])
      .sort(),
  ]);
}

class StatesRound implements Round<StatesCase> {
  readonly cases = cases;
  readonly #folder = mkdtempSync(join(tmpdir(), "lossc-states-"));
  readonly #made: ParameterSet[] = [];

  private constructor(private readonly device: Device) {}

  static async open(device: string): Promise<StatesRound> {
    return new StatesRound(await openDevice(device));
  }

  async check({ tensors, seed, step, format, damage }: StatesCase): Promise<void> {
    const path = join(this.#folder, "state");
    try {
      const [from, to] = [await this.policy(tensors), await this.policy(tensors)];
      // A policy chooses the names of its state's tensors, such as weights and moments.
      const names = Object.entries((await from.state()).tensors).map(([key, { shape }]) => ({ name: key, shape }));
      await from.load(stateOf(names, step, seed));
      await to.load(stateOf(names, step + 1, seed + 1));
      const [saved, before] = [await everyBit(from), await everyBit(to)];
      const refused = await refusal(this.client(from).saveState(path));
      // Names that are no Unicode cannot be written.
      if (refused) {
        if (readdirSync(this.#folder).length > 0) throw new Error(`a state that was not saved left a file: ${refused.message}`);
        return;
      }
      const good = format === "saved" ? readFileSync(path) : firstFormat(await from.state());
      const bad = damaged(good, damage);
      writeFileSync(path, bad);
      const error = await refusal(this.client(to).loadState(path));
      const after = await everyBit(to);
      if (error && after !== before) throw new Error(`a state that was refused changed the policy: ${error.message}`);
      // A digest that was made right again vouches for what was changed.
      if (!error && !damage.sealed && after !== saved)
        throw new Error(`a damaged state was loaded:\n  ${after}\ninstead of\n  ${saved}`);
      writeFileSync(path, good);
      await this.client(to).loadState(path);
      if ((await everyBit(to)) !== saved) throw new Error(`a state that was saved and loaded has other bits`);
    } finally {
      rmSync(path, { force: true });
      for (const set of this.#made.splice(0)) set.dispose();
    }
  }

  private async policy(tensors: StatesCase["tensors"]): Promise<Stateful> {
    if (!this.device.native) return keeper(tensors);
    const set = await ParameterSet.create(this.device, stateOf(tensors, 0, 0).tensors);
    this.#made.push(set);
    return set;
  }

  private client(policy: Stateful): TrainingClient {
    return new TrainingClient({ policy: policy as TrainingPolicy, device: this.device });
  }

  async close(): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
    await this.device.dispose();
  }
}

/** The error of lossc's that it ends with, null where it ends well. Any other error is none that may come. */
async function refusal(call: Promise<void>): Promise<LosscError | null> {
  try {
    await call;
    return null;
  } catch (error) {
    if (error instanceof LosscError) return error;
    throw error;
  }
}

export const states: Fuzzer<StatesCase> = { runs: 150, open: StatesRound.open };
