/**
 * Calls: in any order and with any arguments, each call gives a result or a `LosscError`, and a good call afterwards
 * gives the bits that it gave before.
 */
import fc from "fast-check";
import { type CompiledLoss, type Device, ERROR_CODES, LosscError, type LossDefinition, losses, openDevice } from "../../index.js";
import { everyNumber, type Fuzzer, type Round } from "./fuzzer.js";
import { JunkError, spoils } from "./junk.js";
import { OPERATIONS, type Operation, type Step, World } from "./operations.js";

const NAMES = Object.keys(OPERATIONS) as Operation[];

const cases: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    do: fc.constantFrom(...NAMES),
    on: fc.nat(20),
    kind: fc.nat(20),
    spoils,
    returns: spoils,
    abort: fc.option(fc.nat(3), { freq: 4 }),
    waits: fc.boolean(),
  }),
  { minLength: 1, maxLength: 10 },
);

/** The allowed failures of a call: a LosscError with a message, or the error that the caller's own code threw. */
function refuse(error: unknown, step: Step): void {
  if (error instanceof JunkError) return;
  if (error instanceof LosscError && ERROR_CODES.includes(error.code) && error.message.length > 10) return;
  const text = error instanceof Error ? error.stack : `something that is no Error: ${typeof error}`;
  throw new Error(`${step.do} ended with ${text}`, { cause: error });
}

const GOOD = {
  lengths: [2, 1],
  target_tokens: [2, 3, 1],
  logprobs: [-0.5, -0.25, -1.5],
  advantages: [1, -0.5, 2],
};
const good = () => ({ ...GOOD, logits: Float32Array.of(0.5, -1, 2, 0.25, 1, 1, -0.5, 3, -2, 0.125, 0.75, 1.5) });

class CallsRound implements Round<readonly Step[]> {
  readonly cases = cases;

  private constructor(
    private readonly name: string,
    /** A device that lives as long as the round, beside those that the cases open and end. */
    private readonly witness: Device,
    private readonly compiled: CompiledLoss,
    private readonly expected: string,
  ) {}

  static async open(name: string): Promise<CallsRound> {
    const witness = await openDevice(name);
    const compiled = await witness.compile(losses.ppo as unknown as LossDefinition);
    const result = await compiled.forwardBackward(good());
    const oracle = await (await (await openDevice("reference")).compile(losses.ppo as unknown as LossDefinition)).forwardBackward(
      good(),
    );
    if (!(Math.abs(result.loss - oracle.loss) < 1e-5)) throw new Error(`the loss is ${result.loss}, on reference ${oracle.loss}`);
    oracle.gradLogits &&
      Array.from(oracle.gradLogits as Float64Array).forEach((x, i) => {
        const got = (result.gradLogits as Float32Array)[i] as number;
        if (!(Math.abs(got - x) < 1e-5)) throw new Error(`gradLogits[${i}] is ${got}, on reference ${x}`);
      });
    return new CallsRound(name, witness, compiled, everyNumber(result));
  }

  async check(steps: readonly Step[]): Promise<void> {
    const world = await World.open(this.name);
    try {
      const settled: Promise<void>[] = [];
      for (const step of steps) {
        // A call may throw, too.
        const call = (async () => OPERATIONS[step.do](world, step))().then(
          () => {},
          (error) => refuse(error, step),
        );
        settled.push(call);
        // Seen by whoever waits for all.
        call.catch(() => {});
        if (step.waits) await call;
      }
      await Promise.all(settled);
      for (const compiled of [this.compiled, await world.goodLoss()]) {
        const bits = everyNumber(await compiled.forwardBackward(good()));
        if (bits !== this.expected) throw new Error(`a good call afterwards gave\n  ${bits} instead of\n  ${this.expected}`);
      }
    } finally {
      await world.close();
    }
  }

  async close(): Promise<void> {
    await this.witness.dispose();
  }
}

export const calls: Fuzzer<readonly Step[]> = { runs: 100, open: CallsRound.open };
