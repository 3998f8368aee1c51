/** The results of training, in words. */
import type { Record } from "./record.js";

/** Nats per character by which the model must beat the table. */
const CLEARLY = 0.1;

export interface Summary {
  readonly lines: readonly string[];
  /** Whether the model beat the table clearly and the reward rose. */
  readonly learned: boolean;
}

export function summaryOf({ bigram, heldOut, reward }: Record): Summary {
  const [before, after, end] = [heldOut.start, heldOut.supervised, heldOut.custom].map((loss) => loss ?? Number.NaN) as [
    number,
    number,
    number,
  ];
  const [rewardBefore, rewardAfter] = [reward.supervised ?? Number.NaN, reward.reinforcement ?? Number.NaN];
  const beaten = after < bigram - CLEARLY;
  const rose = rewardAfter > rewardBefore;
  const loss = `held-out loss ${nats(before)} → ${nats(after)} nats per character (bigram table ${nats(bigram)}, at the end of the run ${nats(end)})`;
  const lines = [`learned: ${loss}; reward ${rewardBefore.toFixed(3)} → ${rewardAfter.toFixed(3)}`];
  if (!beaten) lines.push("FAILED: the model does not clearly beat the bigram table");
  if (!rose) lines.push("FAILED: the reward did not rise");
  return { lines, learned: beaten && rose };
}

function nats(value: number): string {
  return value.toFixed(3);
}
