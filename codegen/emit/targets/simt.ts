/** Entry points of the targets whose teams are lanes: `simt/entries.h` of the preludes. */
import { type RowShape, type Spread, stepShared } from "../geometry.js";
import type { Entry } from "./target.js";

/** Threads of a step's block, one element each. */
const STEP_THREADS = 256;

export const simtStep: Entry = {
  comment: null,
  arguments: [STEP_THREADS],
  launch: { block: STEP_THREADS, perBlock: STEP_THREADS, cluster: 1, shared: stepShared(STEP_THREADS) },
};

export function simtSweep({ threads, lanes, cluster, resident, room, shared }: Spread, { values }: RowShape): Entry {
  const share =
    lanes < threads
      ? `${lanes} of ${threads} threads`
      : cluster > 1
        ? `${cluster} blocks of ${threads} threads`
        : `${threads} threads`;
  const stays = resident ? "which stays in shared memory" : "which every phase reads again";
  return {
    comment: `${share} share a row, ${stays}.`,
    arguments: [threads, lanes, cluster, resident, values, room],
    launch: { block: threads, perBlock: threads / lanes, cluster, shared },
  };
}
