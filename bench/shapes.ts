/** What is measured: shapes, and the losses at each. */
import type { LossDefinition } from "../dsl/index.js";
import * as losses from "../losses/index.js";
import { logprobVariance, usersPpo } from "./losses.loss.js";

export interface Shape {
  readonly tokens: number;
  readonly vocab: number;
  /** Tokens of each sequence. */
  readonly length: number;
  readonly losses: readonly LossDefinition[];
  /** Times a copy of the same bytes, at most, for a token-local loss. */
  readonly ceiling: number;
  readonly peers: boolean;
}

const ALL = [losses.ppo, usersPpo, losses.cross_entropy, losses.gspo, logprobVariance];

/** Names that `--rows` takes. */
export const LOSS_NAMES = ALL.map(({ name }) => name);

export const SHAPES: readonly Shape[] = [
  { tokens: 512, vocab: 32768, length: 64, losses: ALL, ceiling: 1.6, peers: true },
  { tokens: 256, vocab: 128257, length: 64, losses: [losses.ppo], ceiling: 1.6, peers: false },
  { tokens: 262144, vocab: 64, length: 64, losses: [losses.ppo], ceiling: 2, peers: false },
];

/** Small enough to try the bench itself; its figures say nothing. */
export const QUICK: readonly Shape[] = [{ tokens: 64, vocab: 4096, length: 16, losses: ALL, ceiling: 1.6, peers: true }];
