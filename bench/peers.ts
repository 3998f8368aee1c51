/** Peers: the same mathematics by other means, in a Python process of their own. A peer that is not on the machine is named as absent. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LosscError } from "../dsl/errors.js";
import { packageRoot } from "../runtime/addon.js";
import type { Batch } from "./batch.js";

export interface PeerTiming {
  /** `eager` or `torch.compile`. */
  readonly way: string;
  readonly loss: number;
  /** Of every round. */
  readonly milliseconds: readonly number[];
}

export type PeerReport =
  | { readonly name: string; readonly version: string; readonly timings: readonly PeerTiming[] }
  | { readonly absent: string };

/**
 * Runs a loss in PyTorch, or says why not. `$LOSSC_PYTHON` names the interpreter, else `python3`.
 *
 * @throws LosscError `DEVICE_FAULT` where the peer computes another loss: then the two do not compare.
 */
export function torchLoss(
  loss: string,
  { lengths: _, ...arrays }: Batch,
  shape: {
    readonly tokens: number;
    readonly vocab: number;
    readonly length: number;
    readonly rounds: number;
    readonly warmUp: number;
  },
  wanted: number,
): PeerReport {
  const folder = mkdtempSync(join(tmpdir(), "lossc-bench-"));
  try {
    for (const [name, array] of Object.entries(arrays))
      writeFileSync(join(folder, name), new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    const script = join(packageRoot(), "bench", "peers", "torch_losses.py");
    const { tokens, vocab, length, rounds, warmUp } = shape;
    const input = JSON.stringify({ loss, folder, tokens, vocab, length, rounds, warm_up: warmUp });
    const run = spawnSync(process.env.LOSSC_PYTHON ?? "python3", [script], { input, encoding: "utf8", maxBuffer: 1 << 26 });
    if (run.error) return { absent: run.error.message };
    if (run.status !== 0) return { absent: run.stderr.trim().split("\n").at(-1) ?? "it failed" };
    const { name, version, timings } = JSON.parse(run.stdout) as Exclude<PeerReport, { absent: string }>;
    for (const timing of timings) {
      if (!(Math.abs(timing.loss - wanted) <= 1e-3 * Math.abs(wanted) + 1e-2))
        throw new LosscError(
          "DEVICE_FAULT",
          `${name}, ${timing.way}: the loss of ${loss} is ${timing.loss} instead of ${wanted}`,
        );
    }
    return { name, version, timings };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
