// Primitives of an emulated GPU: every lane is a fiber of the addon, which switches lanes at barriers and shuffles.
#pragma once

#include "../host/function.h"
#include "../common/types.h"
#include "lane.h"
#include "watch.h"
#include "../host/host.h"

namespace lossc {

template <class P, class T> LOSSC_FN P read_as_packet(const T* p, index e) {
  P r;
  LOSSC_TOUCH(LOSSC_READ, p + e, sizeof r);
  __builtin_memcpy(&r, p + e, sizeof r);
  return r;
}
template <class P, class T> LOSSC_FN void write_as_packet(T* p, index e, const P& v) {
  LOSSC_TOUCH(LOSSC_WRITE, p + e, sizeof v);
  __builtin_memcpy(p + e, &v, sizeof v);
}

template <class T> LOSSC_FN unsigned narrow_two(float low, float high, T) {
  T a, b;
  narrow(low, a);
  narrow(high, b);
  return unsigned(a.bits) | unsigned(b.bits) << 16;
}
template <class T> LOSSC_FN unsigned max_two(unsigned a, unsigned b, T) {
  const auto half = [](unsigned word) { return widen(T{static_cast<unsigned short>(word)}); };
  const auto max = [](float x, float y) { return x != x || x > y ? x : y; };
  return narrow_two(max(half(a), half(b)), max(half(a >> 16), half(b >> 16)), T());
}

template <class T> LOSSC_FN unsigned there_two(unsigned halves, T) {
  const auto there = [](unsigned half) { return widen(T{static_cast<unsigned short>(half)}) != -LOSSC_INFINITY; };
  return (there(halves) ? 0xffffu : 0u) | (there(halves >> 16) ? 0xffff0000u : 0u);
}

LOSSC_FN float fma_(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
LOSSC_FN float fast_exp_(float x) { return exp_(x); }
// 0 at the maximum and rounded once, as a multiply-add is, but without the shift of the cuda prelude's, so that tests need no allowance for it.
LOSSC_FN float exponent_(float x, float m) { return float((double(x) - m) * 1.4426950408889634); }
LOSSC_FN float exponent_(float x, float m, float c) { return float((double(c * x) - m) * 1.4426950408889634); }
LOSSC_FN double excess_(float) { return 0.0; }
LOSSC_FN float between_(float from, float to) { return (from - to) * kLog2e; }

// Sets `poison` where an entry of a word is not finite.
template <class T> LOSSC_FN unsigned look(unsigned word, unsigned poison);
template <> LOSSC_FN unsigned look<float>(unsigned word, unsigned poison) { return poison | ((word & 0x7f800000u) == 0x7f800000u); }
LOSSC_FN unsigned look_halves(unsigned word, unsigned exponent) { return (word & exponent) == exponent || (word >> 16 & exponent) == exponent; }
template <> LOSSC_FN unsigned look<bf16>(unsigned word, unsigned poison) { return poison | look_halves(word, 0x7f80u); }
template <> LOSSC_FN unsigned look<f16>(unsigned word, unsigned poison) { return poison | look_halves(word, 0x7c00u); }

struct Lane {
  const LosscLane* lane;
  LOSSC_FN int thread() const { return lane->thread; }
  LOSSC_FN int rank() const { return lane->rank; }
  LOSSC_FN void barrier() const { lane->barrier(lane); }
  template <int LANES> LOSSC_FN unsigned shuffle(unsigned v, int source) const { return lane->shuffle(lane, v, source, LANES); }
  LOSSC_FN void* shared() const { return lane->shared; }
  LOSSC_FN void cluster_enter() const { lane->cluster_arrive(lane); }
  LOSSC_FN void cluster_arrive() const { lane->cluster_arrive(lane); }
  LOSSC_FN void cluster_wait() const { lane->cluster_wait(lane); }
  template <class T> LOSSC_FN void write_remote(T* mine, int rank, T v) const { write(static_cast<T*>(lane->remote(lane, mine, rank)), 0, v); }
  template <int BYTES, bool ALONE> LOSSC_FN void copy(void* shared, const void* global) const { lane->copy(lane, shared, global, BYTES); }
  LOSSC_FN void copies_done() const { lane->copies_done(lane); }
};

// Beside the entry point stands the number of blocks of a cluster, which a GPU's kernel has as an attribute.
#define LOSSC_ENTRY(name, K, threads, cluster, room, visit)                             \
  extern "C" const int name##_cluster = cluster;                                        \
  extern "C" void name(const void* arguments, const LosscLane* self) {                  \
    if (self->touch) lossc_touch = self->touch;                                         \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                         \
    const index block = self->block;                                                    \
    const Lane lane{self};                                                              \
    visit;                                                                              \
  }

}  // namespace lossc
