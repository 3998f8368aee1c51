/** Peers: the same mathematics by other means, in a Python process of their own. A peer that is not on the machine is named as absent. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../runtime/addon/addon.js";
import { runProgram } from "../runtime/compilers/process.js";
import { type Batch, SEEDS } from "./batch.js";
import type { Rounds } from "./race.js";
import type { Shape, Work } from "./shapes.js";

export interface PeerTiming {
  /** Name of the {@link Work}. */
  readonly loss: string;
  /** Whose it is and how: `PyTorch, eager`. */
  readonly peer: string;
  readonly value: number;
  /** Of every round. */
  readonly milliseconds: readonly number[];
  /** Peak bytes of a call beyond inputs and gradients; null where it cannot be read, absent where it was not asked for. */
  readonly peak_bytes?: number | null;
}

export interface PeerReport {
  readonly versions: Readonly<Record<string, string>>;
  /** Why a peer is not there, by its name. */
  readonly absent: Readonly<Record<string, string>>;
  readonly timings: readonly PeerTiming[];
  /** The reason why a peer could not be timed or computes another loss; its times are then not compared. */
  readonly failed: readonly { readonly loss: string; readonly peer: string; readonly problem: string }[];
}

/** Times each loss by every peer, on the same data. `value`: what the loss is. */
export function peersOf(
  batch: Batch,
  { length }: Shape,
  { rounds, warmUp }: Rounds,
  calls: readonly { readonly work: Work; readonly value: number }[],
): Promise<PeerReport> {
  const values = new Map(calls.map(({ work, value }) => [work.name, value]));
  const request = { device: batch.device.name, ...batch.shape, length, rounds, warm_up: warmUp };
  return askPeers("main.py", request, { ...batch.perToken }, values);
}

/**
 * Has a script of `bench/peers` time losses. `$LOSSC_PYTHON` names the interpreter, else `python3`. `values`: what each loss is; `floor`: by how much
 * a peer's may differ however small it is.
 */
export async function askPeers(
  name: "main.py" | "head.py",
  about: object,
  perToken: Readonly<Record<string, ArrayBufferView>>,
  values: ReadonlyMap<string, number>,
  floor?: number,
): Promise<PeerReport> {
  const folder = mkdtempSync(join(tmpdir(), "lossc-bench-"));
  try {
    for (const [name, array] of Object.entries(perToken))
      writeFileSync(join(folder, name), new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    const input = JSON.stringify({ ...about, losses: [...values.keys()], seeds: SEEDS, folder });
    const script = join(packageRoot(), "bench", "peers", name);
    const python = process.env.LOSSC_PYTHON ?? "python3";
    const run = await runProgram(python, ["-B", script], { input, limit: 1 << 26 }).catch((error: Error) => error);
    if (run instanceof Error) return absent(run.message);
    if (run.status !== 0) return absent(run.output.trim().split("\n").at(-1) ?? "it failed");
    return judged(JSON.parse(run.stdout) as PeerReport, values, floor);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function absent(why: string): PeerReport {
  return { versions: {}, absent: { PyTorch: why }, timings: [], failed: [] };
}

/** Removes the times of peers that compute another loss. */
export function judged(report: PeerReport, values: ReadonlyMap<string, number>, floor = 1e-2): PeerReport {
  const wrong = (timing: PeerTiming) => {
    const wanted = values.get(timing.loss) as number;
    return Math.abs(timing.value - wanted) <= 1e-3 * Math.abs(wanted) + floor
      ? null
      : `its loss is ${timing.value} instead of ${wanted}`;
  };
  return {
    ...report,
    timings: report.timings.filter((timing) => wrong(timing) === null),
    failed: [
      ...report.failed,
      ...report.timings.flatMap(({ loss, peer, ...timing }) => {
        const problem = wrong({ loss, peer, ...timing });
        return problem === null ? [] : [{ loss, peer, problem }];
      }),
    ],
  };
}
