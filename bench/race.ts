/** How time is taken: by the clock of the host around a call, launches and waiting included. That is what a caller pays. */

export interface Rounds {
  readonly rounds: number;
  readonly warmUp: number;
}

/**
 * Milliseconds of each contestant; they take turns, round by round, on data laid down anew outside of what is timed. Every other round goes
 * backwards, so that nobody always comes after the same one.
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
