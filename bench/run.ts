/**
 * `npm run bench`: how long `ppo` takes on the CPU, from logits in memory to loss and gradient in the same memory, beside a copy of the same
 * bytes by the same threads. Nothing is timed before its result was compared with `reference`.
 *
 * The copy reads as many bytes as the loss reads logits and writes as many as the loss writes gradient, from one buffer to another, pages touched.
 * It runs through the same pool and the same queue, once written as a loop over floats and once as calls of the C library's memcpy; the faster
 * one is the yardstick.
 */
import { type Device, losses, openDevice } from "../index.js";

const TOKENS = 512;
const VOCAB = 32768;
const WARM_UP = 3;
const ROUNDS = 15;
/** Bytes that one element of the second copy moves. */
const PIECE = 1024;
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
  LOSSC_FN static void element(const Args& a, index i) { __builtin_memcpy(a.to + i * ${PIECE}, a.from + i * ${PIECE}, ${PIECE}); }
};`,
    },
  ],
};

interface Timing {
  readonly median: number;
  readonly least: number;
}

/** Milliseconds of `work`; `prepare` is not timed. */
async function time(work: () => Promise<unknown>, prepare: () => void = () => {}): Promise<Timing> {
  const taken: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    prepare();
    const start = performance.now();
    await work();
    if (round >= 0) taken.push(performance.now() - start);
  }
  taken.sort((a, b) => a - b);
  return { median: taken[Math.floor(ROUNDS / 2)] as number, least: taken[0] as number };
}

/** Numbers like those of a trained model's head, the same in every run. */
function makeBatch() {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const normal = () => uniform() + uniform() + uniform() + uniform() - 2;
  const logits = new Float32Array(TOKENS * VOCAB).map(() => 3 * normal());
  const target_tokens = Int32Array.from({ length: TOKENS }, () => Math.floor(uniform() * VOCAB));
  const logprobs = Float32Array.from(
    target_tokens,
    (target, t) => (logits[t * VOCAB + target] as number) - 11.9 + 0.2 * normal(),
  );
  const advantages = Float32Array.from({ length: TOKENS }, normal);
  return { logits, target_tokens, logprobs, advantages };
}

type Batch = ReturnType<typeof makeBatch>;

const { ppo } = losses;

async function runPpo(device: Device, { logits, ...inputs }: Batch, inPlace: boolean) {
  const compiled = await device.compile(ppo, { vocab: VOCAB });
  const lengths = [inputs.target_tokens.length];
  return () => compiled.forwardBackward({ lengths, logits, ...inputs }, {}, { inPlace });
}

/** Compares some rows with `reference`; throws where one is wrong. */
async function compare(device: Device, batch: Batch): Promise<void> {
  const rows = [0, 1, TOKENS / 2 - 1, TOKENS - 1];
  const pick = <A extends Float32Array | Int32Array>(array: A, width: number) =>
    rows.flatMap((t) => [...array.subarray(t * width, (t + 1) * width)]);
  const some: Batch = {
    logits: Float32Array.from(pick(batch.logits, VOCAB)),
    target_tokens: Int32Array.from(pick(batch.target_tokens, 1)),
    logprobs: Float32Array.from(pick(batch.logprobs, 1)),
    advantages: Float32Array.from(pick(batch.advantages, 1)),
  };
  await using reference = await openDevice("reference");
  const wanted = await (await runPpo(reference, some, false))();
  const whole = await (await runPpo(device, batch, false))();
  const gradient = wanted.gradLogits as Float64Array;
  const found = whole.gradLogits as Float32Array;
  rows.forEach((row, r) => {
    for (let v = 0; v < VOCAB; v++) {
      const [x, y] = [found[row * VOCAB + v] as number, gradient[r * VOCAB + v] as number];
      if (!(Math.abs(x - y) <= 5e-5 * Math.abs(y) + 3e-6))
        throw new Error(`gradient of token ${row}, entry ${v}: ${x} instead of ${y}`);
    }
    const [x, y] = [whole.logprobs?.[row] as number, wanted.logprobs?.[r] as number];
    if (!(Math.abs(x - y) <= 5e-5 * Math.abs(y))) throw new Error(`logprob of token ${row}: ${x} instead of ${y}`);
  });
}

async function timeCopies(device: Device, from: Float32Array): Promise<{ readonly loop: Timing; readonly memcpy: Timing }> {
  const unit = await device.loadUnit(COPIES);
  const { native } = device;
  if (native === null) throw new Error("the copy needs the addon");
  const to = new Float32Array(from.length);
  const loop = await time(() => native.run([unit.launch("k0", from.length, [from, to])]));
  if (Buffer.compare(Buffer.from(from.buffer), Buffer.from(to.buffer)) !== 0) throw new Error("the loop did not copy");
  to.fill(0);
  const memcpy = await time(() => native.run([unit.launch("k1", from.byteLength / PIECE, [from, to])]));
  if (Buffer.compare(Buffer.from(from.buffer), Buffer.from(to.buffer)) !== 0) throw new Error("memcpy did not copy");
  return { loop, memcpy };
}

async function main(): Promise<void> {
  const json = process.argv.includes("--json");
  await using device = await openDevice("cpu");
  if (device.name !== "cpu") throw new Error("the bench needs the device cpu: see lossc devices");
  const batch = makeBatch();
  await compare(device, batch);

  const inPlace = { ...batch, logits: batch.logits.slice() };
  const run = await runPpo(device, inPlace, true);
  // The gradient lies where the logits were: they are laid down anew before every round, outside of what is timed.
  const loss = await time(run, () => inPlace.logits.set(batch.logits));
  const { loop, memcpy } = await timeCopies(device, batch.logits);
  const [copyName, copy] = loop.median < memcpy.median ? (["loop", loop] as const) : (["memcpy", memcpy] as const);

  const bytes = 2 * batch.logits.byteLength;
  const ratio = loss.median / copy.median;
  if (json) {
    const report = { loss: "ppo", device: device.description, tokens: TOKENS, vocab: VOCAB, dtype: "f32", bytes, rounds: ROUNDS };
    console.log(JSON.stringify({ ...report, milliseconds: loss, copies: { loop, memcpy }, ratio }));
    return;
  }
  const line = (name: string, { median, least }: Timing) =>
    `  ${name.padEnd(26)} ${median.toFixed(2).padStart(8)} ms   ${(bytes / median / 1e6).toFixed(1).padStart(6)} GB/s   least ${least.toFixed(2)} ms`;
  console.log(`ppo, T ${TOKENS} × V ${VOCAB}, f32, in place: ${bytes / 2 ** 20} MiB read and written; median of ${ROUNDS}`);
  console.log(`on ${device.description}\n`);
  console.log(line("ppo, loss and gradient", loss));
  console.log(line("copy, loop over floats", loop));
  console.log(line("copy, memcpy", memcpy));
  console.log(`\n  ppo takes ${ratio.toFixed(2)} × the faster copy (${copyName})`);
}

await main();
