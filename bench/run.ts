/**
 * `npm run bench`: what the CPU's rows of docs/performance.md take, from logits in memory to loss and gradient in the same memory, beside a copy of the
 * same bytes by the same threads, a custom loss of the same mathematics, and PyTorch where it is there. Nothing is timed before its result was compared
 * with `reference`; rounds of what is compared alternate, and data are laid down anew before each.
 *
 *     npm run bench -- [--json] [--no-peers]
 */
import { clamp, type Device, defineLoss, exp, type LossDefinition, losses, min, mul, neg, openDevice, sub } from "../index.js";
import { type PeerAnswer, torchPpo } from "./peers.js";

const WARM_UP = 3;
const ROUNDS = 15;

interface Row {
  readonly tokens: number;
  readonly vocab: number;
  /** Times the copy that it is to stay below. */
  readonly ceiling: number;
  readonly peers: boolean;
}

const ROWS: readonly Row[] = [
  { tokens: 512, vocab: 32768, ceiling: 1.6, peers: true },
  { tokens: 256, vocab: 128257, ceiling: 1.6, peers: false },
  { tokens: 262144, vocab: 64, ceiling: 2, peers: false },
];

/** The mathematics of ppo as a user would write it. */
const custom = defineLoss({
  name: "a user's ppo",
  inputs: { logprobs: "token", advantages: "token" },
  config: { low: 0.8, high: 1.2 },
  loss(policy, inputs, config) {
    const ratio = exp(sub(policy.logprobs, inputs.logprobs));
    return neg(min(mul(ratio, inputs.advantages), mul(clamp(ratio, config.low, config.high), inputs.advantages)));
  },
});

/** The copy reads and writes as many bytes as the loss does, from one buffer to another, through the same pool and queue. */
const COPIES = {
  comment: "Yardsticks: a copy as a loop over floats, and as calls of memcpy.",
  kernels: [
    {
      id: "k0",
      body: `struct K0 {
  struct Args { const float* from; float* to; };
  LOSSC_FN static void element(const Args& a, index i) { store(a.to, i, load(a.from, i)); }
};`,
    },
    {
      id: "k1",
      body: `struct K1 {
  struct Args { const char* from; char* to; };
  LOSSC_FN static void element(const Args& a, index i) { __builtin_memcpy(a.to + i * 1024, a.from + i * 1024, 1024); }
};`,
    },
  ],
};

/** Numbers like those of a trained model's head, the same in every run. */
function makeBatch(tokens: number, vocab: number) {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const normal = () => uniform() + uniform() + uniform() + uniform() - 2;
  const logits = new Float32Array(tokens * vocab).map(() => 3 * normal());
  const target_tokens = Int32Array.from({ length: tokens }, () => Math.floor(uniform() * vocab));
  const logprobs = Float32Array.from(
    target_tokens,
    (target, t) => (logits[t * vocab + target] as number) - Math.log(vocab) - 1.5 + 0.2 * normal(),
  );
  const advantages = Float32Array.from({ length: tokens }, normal);
  return { logits, target_tokens, logprobs, advantages };
}

type Batch = ReturnType<typeof makeBatch>;

async function caller(device: Device, loss: LossDefinition, { logits, ...inputs }: Batch, inPlace: boolean) {
  const compiled = await device.compile(loss, { vocab: logits.length / inputs.target_tokens.length });
  const lengths = [inputs.target_tokens.length];
  return () => compiled.forwardBackward({ lengths, logits, ...inputs }, {}, { inPlace });
}

/** Compares some rows with `reference`; throws where one is wrong. */
async function compare(device: Device, loss: LossDefinition, batch: Batch, { tokens, vocab }: Row): Promise<void> {
  const rows = [0, 1, tokens / 2 - 1, tokens - 1];
  const pick = <A extends Float32Array | Int32Array>(array: A, width: number) =>
    rows.flatMap((t) => [...array.subarray(t * width, (t + 1) * width)]);
  const some: Batch = {
    logits: Float32Array.from(pick(batch.logits, vocab)),
    target_tokens: Int32Array.from(pick(batch.target_tokens, 1)),
    logprobs: Float32Array.from(pick(batch.logprobs, 1)),
    advantages: Float32Array.from(pick(batch.advantages, 1)),
  };
  await using reference = await openDevice("reference");
  const wanted = await (await caller(reference, loss, some, false))();
  const whole = await (await caller(device, loss, batch, false))();
  const gradient = wanted.gradLogits as Float64Array;
  const found = whole.gradLogits as Float32Array;
  rows.forEach((row, r) => {
    for (let v = 0; v < vocab; v++) {
      const [x, y] = [found[row * vocab + v] as number, gradient[r * vocab + v] as number];
      if (!(Math.abs(x - y) <= 5e-5 * Math.abs(y) + 3e-6))
        throw new Error(`gradient of token ${row}, entry ${v}: ${x} instead of ${y}`);
    }
    const [x, y] = [whole.logprobs?.[row] as number, wanted.logprobs?.[r] as number];
    if (!(Math.abs(x - y) <= 5e-5 * Math.abs(y))) throw new Error(`logprob of token ${row}: ${x} instead of ${y}`);
  });
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/** Milliseconds of each contestant; they take turns, round by round. */
async function race(
  contestants: Readonly<Record<string, () => Promise<unknown>>>,
  prepare: () => void,
): Promise<Record<string, number[]>> {
  const taken: Record<string, number[]> = {};
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [name, work] of Object.entries(contestants)) {
      prepare();
      const start = performance.now();
      await work();
      taken[name] ??= [];
      if (round >= 0) taken[name].push(performance.now() - start);
    }
  }
  return taken;
}

async function measure(device: Device, row: Row, withPeers: boolean) {
  const batch = makeBatch(row.tokens, row.vocab);
  for (const loss of [losses.ppo, custom]) await compare(device, loss, batch, row);
  const { native } = device;
  if (native === null) throw new Error("the copy needs the addon");
  const unit = await device.loadUnit(COPIES);
  const inPlace = { ...batch, logits: batch.logits.slice() };
  const to = new Float32Array(batch.logits.length);
  const taken = await race(
    {
      ppo: await caller(device, losses.ppo, inPlace, true),
      "a user's ppo": await caller(device, custom, inPlace, true),
      "copy, loop": () => native.run([unit.launch("k0", to.length, [batch.logits, to])]),
      "copy, memcpy": () => native.run([unit.launch("k1", to.byteLength / 1024, [batch.logits, to])]),
    },
    () => inPlace.logits.set(batch.logits),
  );
  if (Buffer.compare(Buffer.from(batch.logits.buffer), Buffer.from(to.buffer)) !== 0) throw new Error("the copy did not copy");
  const peers = row.peers && withPeers ? torchPpo(batch, { ...row, rounds: ROUNDS, warmUp: WARM_UP }) : null;
  if (peers && "timings" in peers) {
    const { loss } = await (await caller(device, losses.ppo, batch, false))();
    for (const timing of peers.timings) {
      if (!(Math.abs(timing.loss - loss) <= 1e-3 * Math.abs(loss) + 1e-2))
        throw new Error(`${peers.name}, ${timing.way}: the loss ${timing.loss} instead of ${loss}`);
    }
  }
  return { ...row, bytes: 2 * batch.logits.byteLength, milliseconds: taken, peers };
}

type Measured = Awaited<ReturnType<typeof measure>>;

function print({ tokens, vocab, ceiling, bytes, milliseconds, peers }: Measured): void {
  const copy = Math.min(median(milliseconds["copy, loop"] as number[]), median(milliseconds["copy, memcpy"] as number[]));
  const line = (name: string, times: readonly number[]) => {
    const time = median(times);
    const ratio = (time / copy).toFixed(2).padStart(7);
    console.log(
      `  ${name.padEnd(26)} ${time.toFixed(2).padStart(8)} ms ${(bytes / time / 1e6).toFixed(1).padStart(7)} GB/s ${ratio} × copy`,
    );
  };
  console.log(
    `\nT ${tokens} × V ${vocab}, f32, in place: ${(bytes / 2 ** 20).toFixed(0)} MiB read and written, at most ${ceiling} × copy`,
  );
  for (const [name, times] of Object.entries(milliseconds)) line(name, times);
  if (peers && "absent" in peers) console.log(`  PyTorch is absent: ${peers.absent}`);
  else for (const { way, milliseconds: times } of (peers as PeerAnswer | null)?.timings ?? []) line(`PyTorch, ${way}`, times);
}

async function main(): Promise<void> {
  await using device = await openDevice("cpu");
  if (device.name !== "cpu") throw new Error("the bench needs the device cpu: see lossc devices");
  const json = process.argv.includes("--json");
  if (!json) console.log(`${device.description}; medians of ${ROUNDS} rounds`);
  const all: Measured[] = [];
  for (const row of ROWS) {
    all.push(await measure(device, row, !process.argv.includes("--no-peers")));
    if (!json) print(all.at(-1) as Measured);
  }
  if (json)
    console.log(JSON.stringify({ device: device.description, date: new Date().toISOString(), rounds: ROUNDS, rows: all }));
}

await main();
