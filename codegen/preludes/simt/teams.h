// Teams of lanes: a few lanes of a warp, a block, or the blocks of a cluster. The same text runs on a GPU and, lane by lane, on the emulated device.
#pragma once

#include "target.h"
#include "../common/base.h"
#include "../common/constants.h"

namespace lossc {

// Folds one value of each of a group of LANES lanes. Every lane gets the result, by the same tree and so with the same bits.
template <class All, int LANES, class V> LOSSC_FN V fold_lanes(const Lane& self, V acc) {
  constexpr int kWords = sizeof(V) / 4;
  LOSSC_UNROLL(8)
  for (int mask = LANES / 2; mask > 0; mask >>= 1) {
    auto words = __builtin_bit_cast(Values<kWords, unsigned>, acc);
    for (int i = 0; i < kWords; ++i) words.v[i] = self.shuffle<LANES>(words.v[i], int(unsigned(self.thread()) % kWarp) ^ mask);
    acc = All::merge(acc, __builtin_bit_cast(V, words));
  }
  return acc;
}

// The threads of a block, for folds over tokens, sequences and groups.
template <int THREADS>
struct Block {
  Lane self;
  static constexpr int kLanes = THREADS, kWarps = THREADS / kWarp;
  LOSSC_FN int lane() const { return self.thread(); }
  LOSSC_FN bool leads() const { return lane() == 0; }

  template <class All, class V> LOSSC_FN V reduce(V acc) const {
    acc = fold_lanes<All, kWarp>(self, acc);
    V* const exchange = static_cast<V*>(self.shared());
    if (lane() % kWarp == 0) write(exchange, lane() / kWarp, acc);
    self.barrier();
    acc = read(exchange, 0);
    for (int w = 1; w < kWarps; ++w) acc = All::merge(acc, read(exchange, w));
    self.barrier();  // the exchange is free again
    return acc;
  }

  // Counts `count` arrivals; true for the block that completes `members`, which then sees the writes of the others.
  LOSSC_FN bool arrive(unsigned* counter, index count, index members) const {
    self.barrier();
    unsigned* const last = static_cast<unsigned*>(self.shared());
    if (leads()) {
      fence();
      const bool completes = atomic_add(counter, unsigned(count)) + unsigned(count) == unsigned(members);
      if (completes) {
        write(counter, 0, 0u);
        fence();
      }
      write(last, 0, unsigned(completes));
    }
    self.barrier();
    const bool completes = read(last, 0) != 0;
    self.barrier();  // the place of `last` is free again
    return completes;
  }

  template <class F, class T> LOSSC_FN double fold_run(const T* values, index begin, index end) const {
    auto acc = Folds<F>::template identity<double>();
    LOSSC_UNROLL(1)
    for (index i = begin + lane(); i < end; i += THREADS) acc.v[0] = F::merge(acc.v[0], double(read_fresh(values, i)));
    return reduce<Folds<F>>(acc).v[0];
  }
};

// The lanes of a row: LANES of a block, in each of CLUSTER blocks. They stand in parts of up to a warp, and every part has a run of the row's entries
// to itself. RESIDENT: the row is copied to shared memory when it is opened. VALUES: the most that the parts exchange at once.
template <int THREADS, int LANES, int CLUSTER, bool RESIDENT, int VALUES>
struct Team {
  using Tokens = index;
  Lane self;
  static constexpr int kPart = LANES < kWarp ? LANES : kWarp;
  static constexpr int kParts = CLUSTER * LANES / kPart;
  static constexpr int kThreads = THREADS;
  static constexpr int kPartsHere = THREADS / kPart;
  static constexpr int kRows = THREADS / LANES;
  static constexpr bool kResident = RESIDENT;
  static constexpr int kExchange = kParts > 1 ? kExchanges * kParts * VALUES * int(sizeof(double)) : 0;
  mutable int turn = 0;

  // Threads are counted without signs, so that a division by a power of two is a shift.
  LOSSC_FN int lane() const { return int(unsigned(self.thread()) % kPart); }
  LOSSC_FN int partHere() const { return int(unsigned(self.thread()) / kPart); }
  LOSSC_FN int part() const {
    if constexpr (kParts == 1) return 0;
    else if constexpr (CLUSTER == 1) return partHere();
    else return self.rank() * kPartsHere + partHere();
  }
  LOSSC_FN bool leads() const { return lane() == 0 && part() == 0; }
  LOSSC_FN unsigned char* rows() const { return static_cast<unsigned char*>(self.shared()) + kExchange; }

  // Gives every part's values to all parts, and returns their place. One barrier is enough, since the next exchange has a place of its own.
  template <class V> LOSSC_FN const V* exchange(const V& mine) const {
    static_assert(sizeof(V) <= VALUES * sizeof(double), "the parts of a row exchange more than was planned");
    V* const all = reinterpret_cast<V*>(static_cast<unsigned char*>(self.shared()) + turn % kExchanges * (kExchange / kExchanges));
    if constexpr (CLUSTER > 1) {
      if (turn == 0) self.cluster_wait();  // the other blocks are there
      if (lane() < CLUSTER)
        for (unsigned i = 0; i < sizeof(V) / sizeof(double); ++i) self.write_remote(&all[part()].v[i], lane(), mine.v[i]);
      self.cluster_arrive();
      self.cluster_wait();
    } else {
      if (lane() == 0) write(all, part(), mine);
      self.barrier();
    }
    ++turn;
    return all;
  }
};

}  // namespace lossc
