// Elementwise functions of packets.
#pragma once

#include "functions.h"
#include "primitives.h"
#include "../common/base.h"

namespace lossc {

// x log2 e - n, where n is the nearest whole number. Without a fused multiply-add by way of x - n ln 2, whose first product is exact.
LOSSC_FN Packet reduced(Packet x, Packet n) {
#ifdef LOSSC_NO_FMA
  return ((x - n * 0.693359375f) + n * 2.12194440e-4f) * kLog2e;
#else
  return fma_(x, broadcast(1.92596299e-8f), fma_(x, broadcast(kLog2e), -n));
#endif
}
constexpr float kMagic = 12582912.0f;  // adding it rounds to a whole number

// 2^f, |f| <= 1/2.
LOSSC_FN Packet power_(Packet f) {
  Packet p = broadcast(1.5353362e-4f);
  p = fma_(p, f, broadcast(0.00133988739f));
  p = fma_(p, f, broadcast(0.00961843692f));
  p = fma_(p, f, broadcast(0.0555033237f));
  p = fma_(p, f, broadcast(0.240226477f));
  p = fma_(p, f, broadcast(0.693147182f));
  return fma_(p, f, broadcast(1.0f));
}

// To 1.5 ulp.
LOSSC_FN Packet exp_(Packet x) {
  x = at_most(at_least(x, -150.0f), 150.0f);
  const Packet n = fma_(x, broadcast(kLog2e), broadcast(kMagic)) - kMagic;
  return scale_(power_(reduced(x, n)), n);
}
LOSSC_FN Packet fast_exp_(Packet x) { return exp_(x); }
// For x up to 200; lanes beyond a row's end may hold more, and their results are not used. exp2_(0) is exactly 1, exp2_(-inf) exactly 0.
LOSSC_FN Packet exp2_(Packet x) {
  if constexpr (kScales) {
    x = at_least(x, -200.0f);
    const Packet n = (x + kMagic) - kMagic;
    return scale_(power_(x - n), n);
  } else {
    // The last bits of the sum are the whole number, which is added to the exponent; a NaN is handed on as it is. A subnormal result is 0.
    const Packet known = at_most(at_least(x, -126.0f), 128.0f), sum = known + kMagic, p = power_(known - (sum - kMagic));
    const Packet power = (Packet)((Bits)p + ((Bits)sum << 23));
    return x >= -126.0f ? power : x < -126.0f ? Packet{} : x;
  }
}
template <class C, class A, class B> LOSSC_FN Packet plus_product(Packet sum, C holds, A a, B b) {
  return select(holds, fma_(broadcast(a), broadcast(b), sum), sum);
}
template <class C, class A> LOSSC_FN Packet plus_product(float sum, C holds, A a, Packet b) { return plus_product(broadcast(sum), holds, a, b); }
template <class C> LOSSC_FN Packet plus_product(float sum, C holds, Packet a, float b) { return plus_product(broadcast(sum), holds, a, b); }
// (x - m) log2 e, which is 0 at the maximum; or (c · x - m) log2 e, which rounding shifts by the same amount for every entry of the row.
LOSSC_FN float exponent_(float x, float m) { return (x - m) * kLog2e; }
LOSSC_FN float exponent_(float x, float m, float c) { return __builtin_fmaf(x, c * kLog2e, -(m * kLog2e)); }
template <class M> LOSSC_FN Packet exponent_(Packet x, M m) { return (x - m) * kLog2e; }
template <class M, class C> LOSSC_FN Packet exponent_(Packet x, M m, C c) { return fma_(x, broadcast(c * kLog2e), broadcast(-(m * kLog2e))); }
LOSSC_FN Packet exponent_(float x, Packet m) { return exponent_(broadcast(x), m); }
LOSSC_FN Packet exponent_(float x, Packet m, float c) { return exponent_(broadcast(x), m, c); }
template <class M> LOSSC_FN Packet exponent_(float x, M m, Packet c) { return exponent_(broadcast(x), m, c); }
LOSSC_FN float fast_exp_(float x) { return exp_(x); }

// Functions that libm has for single numbers only are called lane by lane.
#define LOSSC_LANES(name)                                        \
  LOSSC_FN Packet name(Packet x) {                               \
    for (int l = 0; l < kLanes; ++l) x[l] = name(x[l]);          \
    return x;                                                    \
  }
LOSSC_EACH_OF_NUMBERS(LOSSC_LANES)

LOSSC_FN Packet pow_(Packet x, Packet y) {
  for (int l = 0; l < kLanes; ++l) x[l] = pow_(x[l], y[l]);
  return x;
}
LOSSC_FN Packet pow_(Packet x, float y) { return pow_(x, broadcast(y)); }
LOSSC_FN Packet pow_(float x, Packet y) { return pow_(broadcast(x), y); }
LOSSC_FN Packet max_(Packet a, float b) { return max_(a, broadcast(b)); }
LOSSC_FN Packet max_(float a, Packet b) { return max_(broadcast(a), b); }
LOSSC_FN Packet min_(Packet a, float b) { return min_(a, broadcast(b)); }
LOSSC_FN Packet min_(float a, Packet b) { return min_(broadcast(a), b); }
template <class X, class L, class H> LOSSC_FN auto clamp_(X x, L low, H high) { return min_(max_(x, low), high); }
LOSSC_FN Mask is_finite_(Packet x) { return x - x == 0.0f; }

}  // namespace lossc
