/** The table of measurements: shapes, the losses at each, and their targets. */
import type { LogitsDtype } from "../codegen/loss-program.js";
import type { LossDefinition } from "../dsl/index.js";
import * as losses from "../losses/index.js";
import { forwardKlOf, logprobVariance, usersPpo } from "./losses.loss.js";

/** A loss as it is called. */
export interface Work {
  /** Its value of `--rows`. */
  readonly name: string;
  readonly loss: (dtype: LogitsDtype) => LossDefinition;
  /** The first half of each sequence has weight 0, and `skipMasked` is set. */
  readonly masked?: true;
  /** It takes the rows of a teacher. */
  readonly teacher?: true;
}

/** Upper bound of a loss relative to a copy of its bytes: a factor, or so many microseconds more. */
export type Target = { readonly timesCopy: number } | { readonly microseconds: number };

export interface Shape {
  readonly tokens: number;
  readonly vocab: number;
  /** Tokens of each sequence. */
  readonly length: number;
  readonly dtype: LogitsDtype;
  readonly work: readonly (readonly [Work, Target | null])[];
  readonly peers: boolean;
}

/** Measurements from hidden states. */
export interface HeadShape extends Omit<Shape, "work" | "peers"> {
  /** Numbers of a hidden state. */
  readonly width: number;
  readonly work: readonly Work[];
  /** The yardstick of a loss: the three matrix products, and one sweep over all logits where its time matters. */
  readonly yardstick: "three products" | "three products and a sweep";
  /** Times the yardstick. */
  readonly atMost: number | null;
}

const work = (name: string, loss: LossDefinition): Work => ({ name, loss: () => loss });

const ppo = work("ppo", losses.ppo);
const written = work(usersPpo.name, usersPpo);
const crossEntropy = work("cross_entropy", losses.cross_entropy);
const masked: Work = { ...ppo, name: "ppo half masked", masked: true };
const gspo = work("gspo", losses.gspo);
const variance = work("variance", logprobVariance);
const forwardKl: Work = { name: "forward_kl", loss: (dtype) => forwardKlOf(dtype), teacher: true };

/** The same mathematics twice: what a user's loss costs beside the one that ships with lossc. */
export const TWINS = { builtin: ppo.name, custom: written.name } as const;

const ALL = [crossEntropy, ppo, written, masked, gspo, variance, forwardKl];

const LOSS_NAMES = ALL.map(({ name }) => name);

/**
 * Names that `--rows` takes: all losses; each; the output head; the overhead of a call; compiling; other geometries, which are measured only if asked
 * for.
 */
export const ROWS = ["losses", ...LOSS_NAMES, "head", "calls", "compile", "geometries"];

/** Rows with each loss in place of `losses`. */
export function expandRows(rows: readonly string[]): string[] {
  return rows.flatMap((row) => (row === "losses" ? LOSS_NAMES : [row]));
}

/** A loss of each kind whose kernels differ: of one row, of two sweeps, of two rows. */
export const KINDS = [ppo, gspo, forwardKl] as const;

const times = (timesCopy: number): Target => ({ timesCopy });
const ONE_ROW = [crossEntropy, ppo, written] as const;
const COUPLED = [gspo, variance] as const;

const each = (list: readonly Work[], target: Target | null) => list.map((it) => [it, target] as const);

/** T 8192 in bf16: what a training step brings. `half masked` is measured against a copy of all the bytes. */
function large(vocab: number, list: Shape["work"], peers = false): Shape {
  return { tokens: 8192, vocab, length: 1024, dtype: "bf16", work: list, peers };
}

const CUDA: readonly Shape[] = [
  large(
    128256,
    [...each(ONE_ROW, times(1.1)), [masked, times(0.85)], ...each(COUPLED, times(1.1)), [forwardKl, times(1.15)]],
    true,
  ),
  large(128257, [[ppo, times(1.2)]]),
  ...[32000, 152064, 262144].map((vocab) => large(vocab, [[ppo, times(1.1)]])),
  { tokens: 1_000_000, vocab: 64, length: 1000, dtype: "bf16", work: [[ppo, times(1.3)]], peers: false },
  {
    tokens: 256,
    vocab: 128256,
    length: 64,
    dtype: "bf16",
    work: [
      [ppo, { microseconds: 10 }],
      [gspo, { microseconds: 20 }],
    ],
    peers: false,
  },
];

const CPU: readonly Shape[] = [
  {
    tokens: 512,
    vocab: 32768,
    length: 64,
    dtype: "f32",
    work: [...each(ONE_ROW, times(1.6)), ...each([masked, ...COUPLED, forwardKl], null)],
    peers: true,
  },
  { tokens: 256, vocab: 128257, length: 64, dtype: "f32", work: [[ppo, times(1.6)]], peers: false },
  { tokens: 262144, vocab: 64, length: 64, dtype: "f32", work: [[ppo, times(2)]], peers: false },
];

/** Small enough to try the bench itself, in the dtype of the device; their figures say nothing. */
function quick(dtype: LogitsDtype): readonly Shape[] {
  const small = { length: 8, dtype, peers: false };
  return [
    { ...small, tokens: 64, vocab: 1024, work: each(ALL, null), peers: true },
    { ...small, tokens: 16, vocab: 1025, work: [[ppo, null]] },
    { ...small, tokens: 256, vocab: 64, work: [[ppo, null]] },
  ];
}

/** The shapes of a kind of device. */
export function shapesOf(kind: "cpu" | "cuda", isQuick: boolean): readonly Shape[] {
  if (isQuick) return quick(kind === "cuda" ? "bf16" : "f32");
  return kind === "cuda" ? CUDA : CPU;
}

/** Losses that are measured from hidden states. */
export const HEAD_WORK = [crossEntropy, ppo, gspo];

/** Measurements from hidden states on a kind of device: sixteen sequences. */
export function headShapeOf(kind: "cpu" | "cuda", isQuick: boolean): HeadShape {
  const yardstick = kind === "cuda" ? "three products and a sweep" : "three products";
  const dtype = kind === "cuda" ? "bf16" : "f32";
  if (isQuick) return { tokens: 64, width: 16, vocab: 1024, length: 4, dtype, work: HEAD_WORK, yardstick, atMost: null };
  if (kind === "cuda")
    return { tokens: 8192, width: 4096, vocab: 128256, length: 512, dtype, work: HEAD_WORK, yardstick, atMost: 1.05 };
  return { tokens: 2048, width: 256, vocab: 32768, length: 128, dtype, work: HEAD_WORK, yardstick, atMost: 1.15 };
}
