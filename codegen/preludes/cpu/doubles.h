// Packets in float64, by halves: for functions that are rounded once, at their end.
#pragma once

#include "machine.h"

namespace lossc {

typedef unsigned long long Words __attribute__((vector_size(4 * kLanes)));

template <> LOSSC_FN Doubles splat<Doubles>(float x) { return double(x) - Doubles{}; }
LOSSC_FN Doubles lower_half(Packet x) { return doubled_half<0>(x); }
LOSSC_FN Doubles upper_half(Packet x) { return doubled_half<1>(x); }

// By Horner's rule, the highest power's coefficient first.
template <class... C> LOSSC_FN Doubles polynomial(Doubles x, double first, C... rest) {
  Doubles p = Doubles{} + first;
  ((p = fma_(p, x, Doubles{} + rest)), ...);
  return p;
}

// Both have a relative error below 1e-11, which vanishes in the rounding to float32.

// x = 2^n · m with m between the roots of 1/2 and of 2; log m = 2 artanh((m - 1) / (m + 1)).
LOSSC_FN Doubles log_(Doubles x) {
  const Words root = Words{} + 0x3fe6a09e667f3bcdull, bias = Words{} + (1024ull << 52);
  const Words n = ((Words)x - root + bias) >> 52;
  const Doubles m = (Doubles)((Words)x + bias - (n << 52)), s = (m - 1.0) / (m + 1.0), z = s * s;
  const Doubles p = polynomial(z, 1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0);
  const Doubles whole = (Doubles)(n | 0x4330000000000000ull) - (0x1p52 + 1024.0);
  const Doubles r = whole * 0.69314718055994531 + 2.0 * (s + s * (z * p)), infinity = Doubles{} + double(LOSSC_INFINITY);
  return x > 0.0 && x < infinity ? r : x == 0.0 ? -infinity : x == infinity ? infinity : infinity - infinity;
}
LOSSC_FN Packet log_(Packet x) { return joined(log_(lower_half(x)), log_(upper_half(x))); }

// 2^n · e^r with x = n log 2 + r. Beyond the bounds the result is 0 or infinity in float32.
LOSSC_FN Doubles exp_(Doubles x) {
  const Doubles low = Doubles{} - 150.0;
  x = x < low ? low : x > -low ? -low : x;
  const Doubles n = x * 1.4426950408889634 + 0x1.8p52;  // a whole number in the last bits
  const Doubles r = x - (n - 0x1.8p52) * 0.69314718055994531;
  const Doubles p = polynomial(r, 1.0 / 362880.0, 1.0 / 40320.0, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0);
  return p * (Doubles)(((Words)n + 1023) << 52);
}

}  // namespace lossc
