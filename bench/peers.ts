/** Peers: the same mathematics by other means, in a Python process of their own. A peer that is not on the machine is named as absent. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface PeerTiming {
  readonly way: string;
  readonly loss: number;
  /** Of every round. */
  readonly milliseconds: readonly number[];
}

export interface PeerAnswer {
  readonly name: string;
  readonly version: string;
  readonly timings: readonly PeerTiming[];
}

/** Arrays of ppo, as the batch holds them. */
export type PeerData = Readonly<Record<"logits" | "target_tokens" | "logprobs" | "advantages", Float32Array | Int32Array>>;

/** Runs PyTorch's ppo, or says why not. `$LOSSC_PYTHON` names the interpreter, else `python3`. */
export function torchPpo(
  data: PeerData,
  shape: { readonly tokens: number; readonly vocab: number; readonly rounds: number; readonly warmUp: number },
): PeerAnswer | { readonly absent: string } {
  const folder = mkdtempSync(join(tmpdir(), "lossc-bench-"));
  try {
    for (const [name, array] of Object.entries(data))
      writeFileSync(join(folder, name), new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    const script = fileURLToPath(new URL("../../bench/peers/torch_ppo.py", import.meta.url));
    const { warmUp, ...rest } = shape;
    const input = JSON.stringify({ folder, ...rest, warm_up: warmUp });
    const run = spawnSync(process.env.LOSSC_PYTHON ?? "python3", [script], { input, encoding: "utf8", maxBuffer: 1 << 26 });
    if (run.error) return { absent: run.error.message };
    if (run.status !== 0) return { absent: run.stderr.trim().split("\n").at(-1) ?? "it failed" };
    const { name, version, ways } = JSON.parse(run.stdout);
    return {
      name,
      version,
      timings: Object.entries(ways as Record<string, Omit<PeerTiming, "way">>).map(([way, timing]) => ({ way, ...timing })),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
