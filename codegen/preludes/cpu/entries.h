// Entry points: a thread visits the elements [begin, end).
#pragma once

#include "many-rows.h"

namespace lossc {

template <class K> LOSSC_FN void visit_rows(const typename K::Args& a, const Team<1>& team, index begin, index end) {
  for (index t = begin; t < end; ++t) K::row(a, team, t);
}
template <class K> LOSSC_FN void visit_rows(const typename K::Args& a, const Team<kLanes>& team, index begin, index end) {
  for (index t = begin; t < end; t += kLanes) K::row(a, team, Tokens{t, end - t < kLanes ? int(end - t) : kLanes});
}

// Flattened: a function that is not inlined would get the values per row through memory.
#define LOSSC_SWEEP(name, K, rows)                                                                  \
  extern "C" __attribute__((flatten)) void name(const void* arguments, index begin, index end) {    \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                                     \
    visit_rows<K>(a, Team<rows>(), a.first + begin, a.first + end);                                 \
    K::tails(a, Team<1>(), a.first + begin, end - begin);                                           \
  }
#define LOSSC_STEP(name, K)                                                                         \
  extern "C" void name(const void* arguments, index begin, index end) {                             \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                                     \
    for (index i = a.first + begin; i < a.first + end; ++i) K::element(a, i);                       \
    K::tails(a, Team<1>(), a.first + begin, end - begin);                                           \
  }
#define LOSSC_MAP(name, K)                                                                          \
  extern "C" void name(const void* arguments, index begin, index end) {                             \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                                     \
    for (index i = begin; i < end; ++i) K::element(a, i);                                           \
  }

}  // namespace lossc
