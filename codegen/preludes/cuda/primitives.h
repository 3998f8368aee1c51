// Primitives of a GPU: PTX and built-ins. Compiled with -fmad=false, so that every fused multiply-add is written as one.
#pragma once

#include "function.h"
#include "../common/constants.h"
#include "../common/types.h"

namespace lossc {

// Before a loop: the factor by which it is unrolled. Loops that run seldom stay small, since a compiler's time grows with the code.
#define LOSSC_PRAGMA(text) _Pragma(#text)
#define LOSSC_UNROLL(times) LOSSC_PRAGMA(unroll (times))
// A function that is not inlined.
#define LOSSC_APART __device__ __noinline__

LOSSC_FN float as_float(unsigned bits) { return __uint_as_float(bits); }
LOSSC_FN unsigned as_bits(float x) { return __float_as_uint(x); }

LOSSC_FN float widen(float x) { return x; }
LOSSC_FN float widen(double x) { return float(x); }
LOSSC_FN float widen(bf16 x) { return as_float(unsigned(x.bits) << 16); }
LOSSC_FN float widen(f16 x) {
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x.bits));
  return r;
}
LOSSC_FN void narrow(float x, float& out) { out = x; }
LOSSC_FN void narrow(float x, bf16& out) { asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(x)); }
LOSSC_FN void narrow(float x, f16& out) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(x)); }
LOSSC_FN unsigned narrow_two(float low, float high, bf16) {
  unsigned r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
LOSSC_FN unsigned narrow_two(float low, float high, f16) {
  unsigned r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

template <class T> LOSSC_FN T read(const T* p, index i) { return p[i]; }
template <class T> LOSSC_FN void write(T* p, index i, T v) { p[i] = v; }
// Reads past the first-level cache, where another block may have written during this kernel.
LOSSC_FN float read_fresh(const float* p, index i) {
  float r;
  asm volatile("ld.relaxed.gpu.global.f32 %0, [%1];" : "=f"(r) : "l"(__cvta_generic_to_global(p + i)) : "memory");
  return r;
}
LOSSC_FN double read_fresh(const double* p, index i) {
  double r;
  asm volatile("ld.relaxed.gpu.global.f64 %0, [%1];" : "=d"(r) : "l"(__cvta_generic_to_global(p + i)) : "memory");
  return r;
}
LOSSC_FN void atomic_min(unsigned* p, unsigned v) { atomicMin(p, v); }
LOSSC_FN unsigned atomic_add(unsigned* p, unsigned v) { return atomicAdd(p, v); }
LOSSC_FN void fence() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }
template <class P, class T> LOSSC_FN P read_as_packet(const T* p, index e) { return *reinterpret_cast<const P*>(p + e); }
// Evicted from the cache first, since it is not read again during this kernel.
template <class P, class T> LOSSC_FN void write_as_packet(T* p, index e, const P& v) {
  const auto words = __builtin_bit_cast(Values<sizeof(P) / 4, unsigned>, v);
  const auto to = __cvta_generic_to_global(p + e);
  if constexpr (sizeof(P) == kPacketBytes)
    asm volatile("st.global.cs.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(words.v[0]), "r"(words.v[1]), "r"(words.v[2]), "r"(words.v[3]) : "memory");
  else
    *reinterpret_cast<P*>(p + e) = v;
}

LOSSC_FN float exp_(float x) { return expf(x); }
LOSSC_FN float log_(float x) { return logf(x); }
LOSSC_FN double log_(double x) { return log(x); }
LOSSC_FN float log1p_(float x) { return log1pf(x); }
LOSSC_FN float expm1_(float x) { return expm1f(x); }
LOSSC_FN float sqrt_(float x) { return sqrtf(x); }
LOSSC_FN float tanh_(float x) { return tanhf(x); }
LOSSC_FN float erf_(float x) { return erff(x); }
LOSSC_FN float pow_(float x, float y) { return powf(x, y); }
LOSSC_FN float floor_(float x) { return floorf(x); }
LOSSC_FN float abs_(float x) { return fabsf(x); }
LOSSC_FN float fma_(float a, float b, float c) { return __fmaf_rn(a, b, c); }
LOSSC_FN float exp2_(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
LOSSC_FN float fast_exp_(float x) { return exp2_(x * kLog2e); }
// (x - m) log2 e in one multiply-add; or (c · x - m) log2 e. The rounding of m · log2 e shifts every entry of the row by the same amount, which
// cancels in differences and in ratios of powers; `excess_` is that amount in the logarithm of a power.
LOSSC_FN float exponent_(float x, float m) { return fma_(x, kLog2e, -(m * kLog2e)); }
LOSSC_FN float exponent_(float x, float m, float c) { return fma_(x, c * kLog2e, -(m * kLog2e)); }
LOSSC_FN double excess_(float m) { return double(exponent_(m, m)) * 0.69314718055994531; }
// The difference of an exponent from two maxima.
LOSSC_FN float between_(float from, float to) { return from * kLog2e - to * kLog2e; }
LOSSC_FN float max_(float a, float b) {
  float r;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
LOSSC_FN float min_(float a, float b) {
  float r;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
// The maxima of two pairs of halves, each pair in a word. NaN wins here, too.
LOSSC_FN unsigned max_two(unsigned a, unsigned b, bf16) {
  unsigned r;
  asm("max.NaN.bf16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
LOSSC_FN unsigned max_two(unsigned a, unsigned b, f16) {
  unsigned r;
  asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}

// A mask of two halves: all bits of one that is not -inf, no bits of one that is.
LOSSC_FN unsigned there_two(unsigned halves, f16) {
  unsigned r;
  asm("set.neu.u32.f16x2 %0, %1, %2;" : "=r"(r) : "r"(halves), "r"(0xfc00fc00u));
  return r;
}
LOSSC_FN unsigned there_two(unsigned halves, bf16) {
#if __CUDA_ARCH__ >= 900
  unsigned r;
  asm("set.neu.u32.bf16x2 %0, %1, %2;" : "=r"(r) : "r"(halves), "r"(0xff80ff80u));
  return r;
#else
  return ((halves & 0xffffu) != 0xff80u ? 0xffffu : 0u) | (halves >> 16 != 0xff80u ? 0xffff0000u : 0u);
#endif
}

// Adds 0 · entry to `poison`, which stays 0 while entries are finite; halves two at a time.
template <class T> LOSSC_FN unsigned look(unsigned word, unsigned poison);
template <> LOSSC_FN unsigned look<float>(unsigned word, unsigned poison) { return __float_as_uint(fma_(as_float(word), 0.0f, as_float(poison))); }
template <> LOSSC_FN unsigned look<bf16>(unsigned word, unsigned poison) {
  unsigned r;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(word), "r"(0u), "r"(poison));
  return r;
}
template <> LOSSC_FN unsigned look<f16>(unsigned word, unsigned poison) {
  unsigned r;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(word), "r"(0u), "r"(poison));
  return r;
}

template <class T> LOSSC_FN T splat(float x) { return T(x); }
LOSSC_FN bool either(bool a, bool b) { return a || b; }

struct Lane {
  LOSSC_FN int thread() const { return int(threadIdx.x); }
  LOSSC_FN int rank() const {
    unsigned r;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
    return int(r);
  }
  LOSSC_FN void barrier() const { __syncthreads(); }
  // Among aligned groups of LANES lanes.
  template <int LANES> LOSSC_FN unsigned shuffle(unsigned v, int source) const {
    const unsigned group = LANES == kWarp ? ~0u : ((1u << (LANES % kWarp)) - 1u) << (threadIdx.x % kWarp / LANES * LANES);
    return __shfl_sync(group, v, source);
  }
  LOSSC_FN void* shared() const {
    extern __shared__ __align__(kPacketBytes) unsigned char words[];
    return words;
  }
  // The first arrival says only that this block runs.
  LOSSC_FN void cluster_enter() const { asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory"); }
  // A warp arrives and waits as one.
  LOSSC_FN void cluster_arrive() const {
    __syncwarp();
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
  }
  LOSSC_FN void cluster_wait() const {
    __syncwarp();
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
  }
  LOSSC_FN void write_remote(double* mine, int rank, double v) const {
    unsigned there;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(unsigned(__cvta_generic_to_shared(mine))), "r"(rank));
    asm volatile("st.shared::cluster.f64 [%0], %1;" ::"r"(there), "d"(v) : "memory");
  }
  // ALONE: one copy covers whole sectors. Of two pieces the second is in the first-level cache, where the first has brought it.
  template <int BYTES, bool ALONE> LOSSC_FN void copy(void* shared, const void* global) const {
    const auto to = unsigned(__cvta_generic_to_shared(shared));
    const auto from = __cvta_generic_to_global(global);
    if constexpr (BYTES == kPacketBytes && ALONE)
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
    else
      asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(to), "l"(from), "n"(BYTES) : "memory");
  }
  LOSSC_FN void copies_done() const { asm volatile("cp.async.wait_all;" ::: "memory"); }
};

#define LOSSC_CLUSTER_1
#define LOSSC_CLUSTER_2 __attribute__((cluster_dims(2, 1, 1)))
#define LOSSC_CLUSTER_4 __attribute__((cluster_dims(4, 1, 1)))
#define LOSSC_CLUSTER_8 __attribute__((cluster_dims(8, 1, 1)))

// The launch bounds name the threads that a multiprocessor has room for: without them the compiler spills to fit more.
#define LOSSC_ENTRY(name, K, threads, cluster, room, visit)                                                           \
  extern "C" __global__ void LOSSC_CLUSTER_##cluster __launch_bounds__(threads, room / threads) name(const __grid_constant__ K::Args a) { \
    const index block = blockIdx.x;                                                                                   \
    const Lane lane{};                                                                                                \
    visit;                                                                                                            \
  }

}  // namespace lossc
