/** Timing by the host's clock around a call, launches and waiting included, as a caller experiences it. */

export interface Rounds {
  readonly rounds: number;
  readonly warmUp: number;
}

/**
 * Milliseconds of each contestant. They take turns, round by round, on fresh data that is prepared outside of the timing. Every other round is
 * reversed, so that no contestant always follows the same one.
 */
export async function race(
  contestants: readonly (() => Promise<unknown>)[],
  { rounds, warmUp }: Rounds,
  layDown: () => Promise<unknown>,
): Promise<number[][]> {
  const taken = contestants.map((): number[] => []);
  const order = [...contestants.entries()];
  for (let round = -warmUp; round < rounds; round++) {
    for (const [i, run] of order.reverse()) {
      await layDown();
      const milliseconds = await timed(run);
      if (round >= 0) taken[i]?.push(milliseconds);
    }
  }
  return taken;
}

export async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}
