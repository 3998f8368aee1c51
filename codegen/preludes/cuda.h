// PTX and built-ins. Compiled with -fmad=false: where a fused multiply-add is meant it is written.

// Before a loop: how often its body is repeated. Loops that run seldom are kept small, for the compiler takes as long as its text is.
#define LOSSC_PRAGMA(text) _Pragma(#text)
#define LOSSC_UNROLL(times) LOSSC_PRAGMA(unroll (times))

LOSSC_FN float as_float(unsigned bits) { return __uint_as_float(bits); }

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

template <class T> LOSSC_FN T read(const T* p, index i) { return p[i]; }
template <class T> LOSSC_FN void write(T* p, index i, T v) { p[i] = v; }
// What another block may have written during this kernel: past the first-level cache.
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
LOSSC_FN void fence() { __threadfence(); }
template <class P, class T> LOSSC_FN P read_as_packet(const T* p, index e) { return *reinterpret_cast<const P*>(p + e); }
template <class P, class T> LOSSC_FN void write_as_packet(T* p, index e, const P& v) { *reinterpret_cast<P*>(p + e) = v; }

LOSSC_FN float exp_(float x) { return expf(x); }
LOSSC_FN float log_(float x) { return logf(x); }
LOSSC_FN double log_(double x) { return log(x); }
LOSSC_FN float log1p_(float x) { return log1pf(x); }
LOSSC_FN float expm1_(float x) { return expm1f(x); }
LOSSC_FN float sqrt_(float x) { return sqrtf(x); }
LOSSC_FN float tanh_(float x) { return tanhf(x); }
LOSSC_FN float pow_(float x, float y) { return powf(x, y); }
LOSSC_FN float floor_(float x) { return floorf(x); }
LOSSC_FN float abs_(float x) { return fabsf(x); }
LOSSC_FN float fast_exp_(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x * 1.44269504f));
  return r;
}

template <class T> LOSSC_FN T splat(float x) { return T(x); }
LOSSC_FN bool either(bool a, bool b) { return a || b; }
template <class T> LOSSC_FN T select(bool c, T a, T b) { return c ? a : b; }

struct Lane {
  LOSSC_FN int thread() const { return int(threadIdx.x); }
  LOSSC_FN void barrier() const { __syncthreads(); }
  LOSSC_FN void warp_barrier() const { __syncwarp(); }
  LOSSC_FN unsigned shuffle(unsigned v, int source) const { return __shfl_sync(kNone, v, source); }
  LOSSC_FN void* shared() const {
    __shared__ __align__(16) unsigned words[kShared / 4];
    return words;
  }
};

// Room for 512 threads on a multiprocessor is enough, and so for 128 registers each: left to itself, the compiler spills to fit more threads.
#define LOSSC_ENTRY(name, K, threads, cluster, visit)                                                   \
  extern "C" __global__ void __launch_bounds__(threads, 512 / threads) name(const __grid_constant__ K::Args a) { \
    const index block = blockIdx.x;                                                                     \
    const Lane lane{};                                                                                  \
    visit;                                                                                              \
  }
