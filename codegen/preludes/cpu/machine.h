// Instructions and built-ins of single processors and compilers. The other headers of the CPU use nothing but the vectors of GCC and Clang.
#pragma once

#include "packets.h"

namespace lossc {

template <class V> struct Two { V v[2]; };

// The lanes I of x and y; those of y are numbered on from those of x.
template <class V, int... I> LOSSC_FN V shuffled(V x, V y, Indices<I...>) {
#ifdef __clang__
  return __builtin_shufflevector(x, y, I...);
#else
  return __builtin_shuffle(x, y, decltype(x == y){I...});
#endif
}

// a · b + c rounded once (or twice).
#if defined(LOSSC_AVX512)
LOSSC_FN Packet fma_(Packet a, Packet b, Packet c) { return (Packet)__builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4); }
LOSSC_FN Doubles fma_(Doubles a, Doubles b, Doubles c) { return (Doubles)__builtin_ia32_vfmaddpd512_mask(a, b, c, -1, 4); }
#elif defined(LOSSC_AVX2)
LOSSC_FN Packet fma_(Packet a, Packet b, Packet c) { return (Packet)__builtin_ia32_vfmaddps256(a, b, c); }
LOSSC_FN Doubles fma_(Doubles a, Doubles b, Doubles c) { return (Doubles)__builtin_ia32_vfmaddpd256(a, b, c); }
#elif defined(__ARM_FEATURE_FMA)
LOSSC_FN Packet fma_(Packet a, Packet b, Packet c) {
  for (int l = 0; l < kLanes; ++l) c[l] = __builtin_fmaf(a[l], b[l], c[l]);
  return c;
}
LOSSC_FN Doubles fma_(Doubles a, Doubles b, Doubles c) { return a * b + c; }
#else
#define LOSSC_NO_FMA
LOSSC_FN Packet fma_(Packet a, Packet b, Packet c) { return a * b + c; }
LOSSC_FN Doubles fma_(Doubles a, Doubles b, Doubles c) { return a * b + c; }
#endif

// x · 2^n, and whether there is an instruction for it.
#ifdef LOSSC_AVX512
constexpr bool kScales = true;
LOSSC_FN Packet scale_(Packet x, Packet n) { return (Packet)__builtin_ia32_scalefps512_mask(x, n, Packet{}, -1, 4); }
#else
constexpr bool kScales = false;
LOSSC_FN Packet scale_(Packet x, Packet n) {
  // In two steps, each by a normal number: a result that is too small becomes 0, one that is too large infinity.
  const Mask whole = __builtin_convertvector(n, Mask), half = whole >> 1, rest = whole - half;
  return (x * (Packet)((half + 127) << 23)) * (Packet)((rest + 127) << 23);
}
#endif

// The larger and the smaller of two; y where either is NaN. Clang finds the instruction by itself.
#if defined(LOSSC_AVX512) && !defined(__clang__)
LOSSC_FN Packet larger(Packet x, Packet y) { return (Packet)__builtin_ia32_maxps512_mask(x, y, Packet{}, -1, 4); }
LOSSC_FN Packet smaller(Packet x, Packet y) { return (Packet)__builtin_ia32_minps512_mask(x, y, Packet{}, -1, 4); }
#elif defined(LOSSC_AVX2) && !defined(__clang__)
LOSSC_FN Packet larger(Packet x, Packet y) { return __builtin_ia32_maxps256(x, y); }
LOSSC_FN Packet smaller(Packet x, Packet y) { return __builtin_ia32_minps256(x, y); }
#else
LOSSC_FN Packet larger(Packet x, Packet y) { return x > y ? x : y; }
LOSSC_FN Packet smaller(Packet x, Packet y) { return x < y ? x : y; }
#endif
LOSSC_FN Packet at_least(Packet x, float low) { return larger(broadcast(low), x); }
LOSSC_FN Packet at_most(Packet x, float high) { return smaller(broadcast(high), x); }
LOSSC_FN Packet max_(Packet a, Packet b) { return b == b ? larger(b, a) : b; }
LOSSC_FN Packet min_(Packet a, Packet b) { return b == b ? smaller(b, a) : b; }

// Halves of a packet in float64. Without these built-ins GCC converts lane by lane, or through memory.
#if defined(LOSSC_AVX512) && !defined(__clang__)
typedef double HalfDoubles __attribute__((vector_size(32)));
template <int HALF> LOSSC_FN Doubles doubled_half(Packet x) {
  return (Doubles)__builtin_ia32_cvtps2pd512_mask((HalfPacket)__builtin_ia32_extractf64x4_mask((Doubles)x, HALF, HalfDoubles{}, -1), Doubles{}, -1, 4);
}
LOSSC_FN Packet joined(Doubles lower, Doubles upper) {
  const auto half = [](Doubles d) LOSSC_INLINE { return __builtin_ia32_cvtpd2ps512_mask(d, HalfPacket{}, -1, 4); };
  return (Packet)__builtin_ia32_insertf32x8_mask((Packet)__builtin_ia32_insertf32x8_mask(Packet{}, half(lower), 0, Packet{}, -1), half(upper), 1, Packet{}, -1);
}
#else
template <int HALF> LOSSC_FN Doubles doubled_half(Packet x) { return __builtin_convertvector(__builtin_bit_cast(Two<HalfPacket>, x).v[HALF], Doubles); }
LOSSC_FN Packet joined(Doubles lower, Doubles upper) {
  return __builtin_bit_cast(Packet, Two<HalfPacket>{{__builtin_convertvector(lower, HalfPacket), __builtin_convertvector(upper, HalfPacket)}});
}
#endif

// A bit per lane, each of which is 0 or -1.
LOSSC_FN unsigned bits_of(Mask m) {
#if defined(LOSSC_AVX512)
  return __builtin_ia32_cmpd512_mask(m, Mask{}, 4, -1);
#elif defined(LOSSC_AVX2)
  return unsigned(__builtin_ia32_movmskps256((Packet)m));
#elif defined(__SSE__)
  return unsigned(__builtin_ia32_movmskps((Packet)m));
#else
  unsigned bits = 0;
  for (int l = 0; l < kLanes; ++l) bits |= unsigned(m[l] & 1) << l;
  return bits;
#endif
}
LOSSC_FN bool any(Mask m) { return bits_of(m) != 0; }

// The first lanes of a packet, read from memory and written: zeros are read for the others, and the others are not written.
#ifdef LOSSC_AVX512
#ifdef __clang__
typedef short EdgeOfHalves __attribute__((vector_size(32)));
#else
typedef short EdgeOfHalves;
#endif
typedef short Shorts __attribute__((vector_size(32)));
LOSSC_FN unsigned short first_of(index count) { return (unsigned short)((1u << count) - 1u); }
LOSSC_FN Packet load_first(const float* p, index count) { return __builtin_ia32_loadups512_mask(p, Packet{}, first_of(count)); }
LOSSC_FN Halves load_first(const unsigned short* p, index count) {
  return (Halves)__builtin_ia32_loaddquhi256_mask((const EdgeOfHalves*)p, Shorts{}, first_of(count));
}
LOSSC_FN void store_first(Packet x, float* p, index count) { __builtin_ia32_storeups512_mask(p, x, first_of(count)); }
#else
template <class V, class T> LOSSC_FN V first_at(const T* p, index count) {
  V r{};
  for (index i = 0; i < count; ++i) r[i] = p[i];
  return r;
}
#ifdef LOSSC_AVX2
LOSSC_FN Packet load_first(const float* p, index count) { return __builtin_ia32_maskloadps256((const Packet*)p, kPlaces < int(count)); }
LOSSC_FN void store_first(Packet x, float* p, index count) { __builtin_ia32_maskstoreps256((Packet*)p, kPlaces < int(count), x); }
#else
LOSSC_FN Packet load_first(const float* p, index count) { return first_at<Packet>(p, count); }
LOSSC_FN void store_first(Packet x, float* p, index count) {
  for (index i = 0; i < count; ++i) p[i] = x[i];
}
#endif
LOSSC_FN Halves load_first(const unsigned short* p, index count) { return first_at<Halves>(p, count); }
#endif

}  // namespace lossc
