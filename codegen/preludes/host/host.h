// Primitives of a C++ compiler: bf16 and f16 in integer arithmetic, libm, atomics.
#pragma once

#include "function.h"
#include "../common/types.h"

namespace lossc {

#define LOSSC_UNROLL(times)
#define LOSSC_APART __attribute__((noinline))

LOSSC_FN float as_float(unsigned bits) { return __builtin_bit_cast(float, bits); }
LOSSC_FN unsigned as_bits(float x) { return __builtin_bit_cast(unsigned, x); }

LOSSC_FN float widen(float x) { return x; }
LOSSC_FN float widen(double x) { return float(x); }
LOSSC_FN float widen(bf16 x) { return as_float(unsigned(x.bits) << 16); }
LOSSC_FN float widen(f16 x) {
  const unsigned magnitude = x.bits & 0x7fffu, sign = (x.bits & 0x8000u) << 16;
  // A product rebases the exponent; it also makes subnormal numbers normal.
  const float scaled = as_float(magnitude << 13) * as_float(0x77800000u);
  return as_float(sign | (magnitude >= 0x7c00u ? 0x7f800000u | (magnitude << 13) : as_bits(scaled)));
}
LOSSC_FN void narrow(float x, float& out) { out = x; }
LOSSC_FN void narrow(float x, bf16& out) {
  const unsigned b = as_bits(x);
  out.bits = (unsigned short)(x != x ? 0x7fc0u : (b + 0x7fffu + ((b >> 16) & 1u)) >> 16);
}
LOSSC_FN void narrow(float x, f16& out) {
  const unsigned b = as_bits(x), sign = (b >> 16) & 0x8000u, magnitude = b & 0x7fffffffu;
  unsigned r;
  if (magnitude > 0x7f800000u) r = 0x7e00u;
  else if (magnitude >= 0x477ff000u) r = 0x7c00u;  // 65520 and above round to infinity
  else if (magnitude < 0x38800000u) r = as_bits(as_float(magnitude) + 0.5f) - 0x3f000000u;  // subnormal: the sum rounds at 2^-24
  else r = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  out.bits = (unsigned short)(sign | r);
}

// Accesses are reported to the emulated device alone (watch.h).
#ifndef LOSSC_TOUCH
#define LOSSC_TOUCH(how, p, bytes) void()
#endif

template <class T> LOSSC_FN T read(const T* p, index i) { LOSSC_TOUCH(LOSSC_READ, p + i, sizeof(T)); return p[i]; }
template <class T> LOSSC_FN void write(T* p, index i, T v) { LOSSC_TOUCH(LOSSC_WRITE, p + i, sizeof(T)); p[i] = v; }
// Reads memory that another block may have written during this kernel.
template <class T> LOSSC_FN T read_fresh(const T* p, index i) { LOSSC_TOUCH(LOSSC_READ, p + i, sizeof(T)); return p[i]; }
LOSSC_FN void atomic_min(unsigned* p, unsigned v) {
  LOSSC_TOUCH(LOSSC_ATOMIC, p, sizeof *p);
  unsigned seen = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (v < seen && !__atomic_compare_exchange_n(p, &seen, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
}
LOSSC_FN unsigned atomic_add(unsigned* p, unsigned v) { LOSSC_TOUCH(LOSSC_ATOMIC, p, sizeof *p); return __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL); }
LOSSC_FN void fence() { LOSSC_TOUCH(LOSSC_FENCE, nullptr, 0); __atomic_thread_fence(__ATOMIC_ACQ_REL); }

LOSSC_FN float exp_(float x) { return __builtin_expf(x); }
LOSSC_FN float log_(float x) { return __builtin_logf(x); }
LOSSC_FN double log_(double x) { return __builtin_log(x); }
LOSSC_FN float log1p_(float x) { return __builtin_log1pf(x); }
LOSSC_FN float expm1_(float x) { return __builtin_expm1f(x); }
LOSSC_FN float sqrt_(float x) { return __builtin_sqrtf(x); }
LOSSC_FN float tanh_(float x) { return __builtin_tanhf(x); }
LOSSC_FN float erf_(float x) { return __builtin_erff(x); }
LOSSC_FN float pow_(float x, float y) { return __builtin_powf(x, y); }
LOSSC_FN float floor_(float x) { return __builtin_floorf(x); }
LOSSC_FN float abs_(float x) { return __builtin_fabsf(x); }

template <class T> LOSSC_FN T splat(float x);
template <> LOSSC_FN float splat<float>(float x) { return x; }
template <> LOSSC_FN double splat<double>(float x) { return x; }
LOSSC_FN bool either(bool a, bool b) { return a || b; }

LOSSC_FN float exp2_(float x) { return __builtin_exp2f(x); }

}  // namespace lossc
