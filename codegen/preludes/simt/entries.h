// Entry points: the lanes of a block get their rows or elements.
#pragma once

#include "store.h"

namespace lossc {

// Visits the rows of a block, or of the blocks of a cluster, and then folds values of their tokens.
template <class K, int THREADS, int LANES, int CLUSTER, bool RESIDENT, int VALUES>
LOSSC_FN void visit_rows(const typename K::Args& a, const Lane& lane, index block) {
  const Team<THREADS, LANES, CLUSTER, RESIDENT, VALUES> team{lane};
  constexpr index kRows = THREADS / LANES;
  const index first = a.first + block / CLUSTER * kRows, t = first + unsigned(lane.thread()) / LANES;
  if constexpr (CLUSTER > 1 && VALUES > 0) lane.cluster_enter();
  if (t < a.last) K::row(a, team, t);
  if constexpr (CLUSTER > 1)
    if (lane.rank() != 0) return;
  if (RESIDENT) lane.copies_done();  // of rows that were not read: the tails use the same memory
  K::tails(a, Block<THREADS>{lane}, first, first + kRows < a.last ? kRows : a.last - first);
}
template <class K, int THREADS> LOSSC_FN void visit_elements(const typename K::Args& a, const Lane& lane, index block) {
  const index first = a.first + block * THREADS, i = first + lane.thread();
  if (i < a.last) K::element(a, i);
  K::tails(a, Block<THREADS>{lane}, first, first + THREADS < a.last ? THREADS : a.last - first);
}

#define LOSSC_SWEEP(name, K, threads, lanes, cluster, resident, values, room) \
  LOSSC_ENTRY(name, K, threads, cluster, room, (visit_rows<K, threads, lanes, cluster, resident, values>(a, lane, block)))
#define LOSSC_STEP(name, K, threads) LOSSC_ENTRY(name, K, threads, 1, 512, (visit_elements<K, threads>(a, lane, block)))
#define LOSSC_MAP(name, K, threads) \
  LOSSC_ENTRY(name, K, threads, 1, 512, if (block * threads + lane.thread() < a.n) K::element(a, block * threads + lane.thread()))

}  // namespace lossc
