/** Operations of the fuzzer of calls. Each builds good arguments, spoils them, and calls lossc. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CompiledLoss,
  type Device,
  type DeviceBuffer,
  defineLoss,
  exp,
  type LossDefinition,
  type LossInputs,
  losses,
  mean,
  mul,
  neg,
  openDevice,
  type PolicyState,
  sub,
  TrainingClient,
  type TrainingPolicy,
} from "../../index.js";
import { type Spoil, spoil } from "./junk.js";

export interface Step {
  readonly do: Operation;
  /** Which device, loss, buffer or client. */
  readonly on: number;
  /** Which good arguments. */
  readonly kind: number;
  readonly spoils: readonly Spoil[];
  /** Spoils results of the caller's own functions. */
  readonly returns: readonly Spoil[];
  /** Whether its signal fires: before the call, after it, in a turn of the event loop, in a millisecond. */
  readonly abort: number | null;
  /** Whether the next step waits for this one. */
  readonly waits: boolean;
}

export type Operation = keyof typeof OPERATIONS;

const VOCAB = 4;
const SHIPPED = [losses.ppo, losses.dpo, losses.forward_kl] as unknown as readonly LossDefinition[];
/** Compiled once and for all, so that junk is what a case spends its time on. */
const TINY = defineLoss({
  name: "tiny",
  inputs: { a: "token", s: { space: "sequence", default: 1 }, e: { space: "batch", default: 2 } },
  config: { k: 0.5, kind: "plain" },
  loss: (policy, inputs, config) => ({
    loss: neg(mul(exp(sub(policy.logprobs, inputs.a)), mul(inputs.s, mul(inputs.e, config.k)))),
    metrics: { m: mean(policy.logprobs) },
    outputs: { o: policy.logprobs },
  }),
}) as unknown as LossDefinition;

/** All that the calls of a case have opened so far. */
export class World {
  readonly devices: Device[] = [];
  readonly losses: LossDefinition[] = [...SHIPPED, TINY];
  readonly compiled: CompiledLoss[] = [];
  readonly buffers: DeviceBuffer[] = [];
  readonly clients: TrainingClient[] = [];
  /** Arrays that calls were given, the last one last. */
  readonly given: Float32Array[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "lossc-calls-"));
  /** Shared by the calls of a case, as one of a program's is. */
  readonly controller = new AbortController();

  static async open(name: string): Promise<World> {
    const world = new World();
    const device = await openDevice(name);
    world.devices.push(device);
    for (const loss of [losses.ppo as unknown as LossDefinition, TINY]) world.compiled.push(await device.compile(loss));
    world.buffers.push(await device.buffer(Float32Array.from({ length: 3 * VOCAB }, (_, i) => i / 8)));
    world.clients.push(new TrainingClient({ policy: tablePolicy([]), device }));
    return world;
  }

  /** The first loss of the case, compiled anew on its device, or on another where that was disposed of. */
  async goodLoss(): Promise<CompiledLoss> {
    const [device, compiled] = [this.devices[0] as Device, this.compiled[0] as CompiledLoss];
    try {
      await (await device.buffer(new Float32Array(1))).read();
      return await device.compile(compiled.loss);
    } catch {
      this.devices.push(await openDevice(device.name));
      return (this.devices.at(-1) as Device).compile(compiled.loss);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.devices.map((device) => device.dispose()));
    rmSync(this.folder, { recursive: true });
  }
}

function pick<T>(list: readonly T[], at: number): T {
  return list[at % list.length] as T;
}

/** Logits are rows of a table, on the host: a policy for every device. What its functions give is spoiled. */
function tablePolicy(returns: readonly Spoil[]): TrainingPolicy {
  let weights = Float32Array.from({ length: VOCAB * VOCAB }, (_, i) => Math.sin(i));
  const spoiled = <T>(value: T): T => spoil([value], returns)[0] as T;
  return {
    async forward({ tokens }) {
      const rows = Array.from(tokens, (token) => Array.from(weights.subarray(token * VOCAB, (token + 1) * VOCAB)));
      return spoiled({ logits: Float32Array.from(rows.flat()) });
    },
    async backward() {},
    async optimStep() {},
    state: async () => spoiled({ step: 1, tensors: { table: { shape: [VOCAB, VOCAB], data: weights.slice() } } }),
    async load(state: PolicyState) {
      weights = state.tensors.table?.data.slice() ?? weights;
    },
  };
}

/** A good batch for a loss, of data of every kind that it could come as. */
function inputsFor(world: World, loss: LossDefinition, kind: number): LossInputs {
  const numbers = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i + kind));
  const logits = numbers(3 * VOCAB);
  world.given.push(logits);
  const counts = { token: 3, sequence: 2, group: 1, batch: 1, entry: VOCAB, vocab: 3 * VOCAB };
  const declared = Object.entries(loss.inputs).filter(([name]) => name !== "target_tokens");
  const inputs = declared.map(([name, { space }]) => {
    if (space === "batch") return [name, 0.5] as const;
    return [name, kind % 2 ? Array.from(numbers(counts[space])) : numbers(counts[space])] as const;
  });
  const source = [
    { logits },
    { logits: pick(world.buffers, kind) },
    { logits: { data: new Uint16Array(3 * VOCAB).fill(0x3f80), dtype: "bf16" } },
    { hidden: numbers(6), head: numbers(2 * VOCAB), hidden_size: 2 },
    { policy_logprobs: Float32Array.of(-1, -2, -0.5) },
  ][kind % 5];
  return {
    lengths: [2, 1],
    groups: [2],
    target_tokens: [0, 1, 2],
    weights: [1, 0.5, 0],
    ...source,
    ...Object.fromEntries(inputs),
  };
}

const config = (loss: LossDefinition) =>
  Object.fromEntries(Object.entries(loss.config).map(([name, { value }]) => [name, value]));

/** The signal of a step, which fires when the step says; undefined where it has none. */
function signalOf(world: World, { abort, kind }: Step): AbortSignal | undefined {
  if (abort === null) return kind % 3 === 0 ? world.controller.signal : undefined;
  const controller = new AbortController();
  const fire = () => controller.abort();
  if (abort === 0) fire();
  else if (abort === 1) queueMicrotask(fire);
  else if (abort === 2) setImmediate(fire);
  else setTimeout(fire, 1);
  return controller.signal;
}

/** The options of a call, with its signal where it has one. */
function options(world: World, step: Step, rest: object): object {
  const signal = signalOf(world, step);
  return { ...rest, ...(signal && { signal }) };
}

function datum(loss: LossDefinition, kind: number) {
  const tokens = Object.entries(loss.inputs).map(([name, { space }]) => [name, space === "token" ? [0.5, -0.5] : 1]);
  return {
    modelInput: kind % 2 ? [0, 3] : Int32Array.of(0, 3),
    lossFnInputs: { ...Object.fromEntries(tokens), target_tokens: [1, 2], weights: Float32Array.of(1, 0.5) },
  };
}

/** Maps any string to a file in the folder of the case. */
function pathOf(world: World, step: Step): unknown[] {
  const [name] = spoil(["state"], step.spoils) as unknown[];
  return [typeof name === "string" ? join(world.folder, name) : name];
}

type Run = (world: World, step: Step) => unknown;

/** A call of a client on data. */
const training =
  (method: "forward" | "forwardBackward" | "forwardBackwardCustom"): Run =>
  (world, step) => {
    const client = pick(world.clients, step.on);
    const loss = pick(world.losses, step.kind);
    const data = [datum(loss, step.kind), datum(loss, step.kind + 1)];
    const bare = step.kind % 2 ? (policy: { logprobs: number }) => spoil([{ loss: policy.logprobs }], step.returns)[0] : loss;
    const what = method === "forwardBackwardCustom" ? bare : step.kind % 2 ? "cross_entropy" : loss;
    const args = spoil(
      [data, what, typeof what === "object" ? config(loss) : {}, options(world, step, { groups: [2], skipMasked: false })],
      step.spoils,
    );
    return (client[method] as (...args: unknown[]) => unknown)(...args);
  };

/** Calls with spoiled arguments, which TypeScript would not let through. */
const loosely = (of: object, method: string, args: unknown[]): unknown =>
  (of as Record<string, (...args: unknown[]) => unknown>)[method]?.(...args);

export const OPERATIONS = {
  async openDevice(world, step) {
    const args = [pick(["cpu", "reference", "emulated"], step.kind), { threads: 1 }] as [string, object];
    world.devices.push(await openDevice(...spoil(args, step.spoils)));
  },
  async defineLoss(world, step) {
    const definition = {
      name: "made",
      inputs: { a: "token", s: { space: "sequence", dtype: "f32", default: 1 } },
      config: { k: 0.5, kind: { value: 3, static: true } },
      loss: (policy: { logprobs: number }) =>
        spoil(
          [{ loss: [policy.logprobs, 1], metrics: { m: mean(policy.logprobs) }, outputs: { o: policy.logprobs } }],
          step.returns,
        )[0],
    };
    world.losses.push(defineLoss(...(spoil([definition], step.spoils) as unknown as [never])) as unknown as LossDefinition);
  },
  async compile(world, step) {
    const loss = pick(world.losses, step.kind);
    const args = spoil([loss, { dtype: "f32", vocab: VOCAB, config: config(loss) }], step.spoils);
    world.compiled.push((await loosely(pick(world.devices, step.on), "compile", args)) as CompiledLoss);
  },
  async buffer(world, step) {
    const source = [
      { dtype: "f32", length: 3 * VOCAB },
      new Float32Array(3 * VOCAB),
      Int32Array.of(0, 1, 2),
      new Uint16Array(12),
    ][step.kind % 4];
    const args = spoil(step.kind % 4 === 3 ? [source, "bf16"] : [source], step.spoils);
    world.buffers.push((await loosely(pick(world.devices, step.on), "buffer", args)) as DeviceBuffer);
  },
  read: (world, step) => pick(world.buffers, step.on).read(),
  write(world, step) {
    const buffer = pick(world.buffers, step.on);
    const data = step.kind % 2 ? new Float32Array(buffer.length) : Array.from({ length: buffer.length }, () => 1);
    return loosely(buffer, "write", spoil([data], step.spoils));
  },
  disposeBuffer: (world, step) => pick(world.buffers, step.on).dispose(),
  plan: (world, step) => loosely(pick(world.compiled, step.on), "plan", spoil(["f32"], step.spoils)),
  forwardBackward(world, step) {
    const compiled = pick(world.compiled, step.on);
    const { loss } = compiled;
    const wanted = { inPlace: step.kind % 4 < 2, nonFinite: "propagate", skipMasked: step.kind % 2 === 0, metrics: [] };
    const args = [inputsFor(world, loss, step.kind), config(loss), options(world, step, wanted)];
    return loosely(compiled, "forwardBackward", spoil(args, step.spoils));
  },
  /** More calls than Node lets listen to one signal before it warns of a leak. */
  async manyCalls(world, step) {
    const compiled = pick(world.compiled, step.on);
    const { signal } = world.controller;
    const call = () =>
      compiled.forwardBackward(inputsFor(world, compiled.loss, step.kind), {}, { signal, nonFinite: "propagate" });
    const settled = await Promise.allSettled(Array.from({ length: 12 }, call));
    const failed = settled.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  },
  /** Memory that a call was given goes elsewhere. */
  transfer(world, step) {
    const buffer = pick(world.given, step.on)?.buffer;
    if (buffer && buffer.byteLength > 0) structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  },
  async client(world, step) {
    const given = { policy: tablePolicy(step.returns), device: pick(world.devices, step.on) };
    world.clients.push(new TrainingClient(...(spoil([given], step.spoils) as [typeof given])));
  },
  forward: training("forward"),
  trainingForwardBackward: training("forwardBackward"),
  forwardBackwardCustom: training("forwardBackwardCustom"),
  optimStep(world, step) {
    const adam = { learningRate: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-12, weightDecay: 0, gradClipNorm: 1 };
    return loosely(pick(world.clients, step.on), "optimStep", spoil([adam], step.spoils));
  },
  saveState: (world, step) => loosely(pick(world.clients, step.on), "saveState", pathOf(world, step)),
  loadState: (world, step) => loosely(pick(world.clients, step.on), "loadState", pathOf(world, step)),
  disposeDevice: (world, step) => pick(world.devices, step.on).dispose(),
  /** Disposes of a compiled loss. */
  disposeLoss: (world, step) => loosely(pick(world.compiled, step.on), "dispose", []),
  abortAll: (world) => world.controller.abort(),
  async turn() {
    await new Promise((resolve) => setTimeout(resolve, 1));
  },
} satisfies Record<string, Run>;
