// Packets: as many entries as a SIMD register of the processor has lanes.
#pragma once

#include "../common/constants.h"
#include "../host/host.h"

namespace lossc {

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define LOSSC_AVX512
constexpr int kLanes = 16;
#elif defined(__AVX2__) && defined(__FMA__)
#define LOSSC_AVX2
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
static_assert(kLanes <= kMostLanes);
typedef float Packet __attribute__((vector_size(4 * kLanes)));
typedef int Mask __attribute__((vector_size(4 * kLanes)));
typedef unsigned Bits __attribute__((vector_size(4 * kLanes)));
typedef unsigned short Halves __attribute__((vector_size(2 * kLanes)));
// Half of the lanes, and the same in float64.
typedef float HalfPacket __attribute__((vector_size(2 * kLanes)));
typedef double Doubles __attribute__((vector_size(4 * kLanes)));

template <int... I> struct Indices {};
template <int N, int... I> struct IndicesTo : IndicesTo<N - 1, N - 1, I...> {};
template <int... I> struct IndicesTo<0, I...> { using Type = Indices<I...>; };
LOSSC_FN IndicesTo<kLanes>::Type lanes_of(Packet) { return {}; }
LOSSC_FN IndicesTo<kLanes / 2>::Type lanes_of(Doubles) { return {}; }
template <int... I> constexpr Mask counted(Indices<I...>) { return Mask{I...}; }
[[maybe_unused]] constexpr Mask kPlaces = counted(IndicesTo<kLanes>::Type());

#define LOSSC_INLINE __attribute__((always_inline))

template <> LOSSC_FN Packet splat<Packet>(float x) { return x - Packet{}; }
LOSSC_FN Packet broadcast(float x) { return splat<Packet>(x); }
LOSSC_FN Packet broadcast(Packet x) { return x; }
LOSSC_FN Mask broadcast(bool x) { return Mask{} - int(x); }  // true is -1 in each lane, as the result of a comparison is
LOSSC_FN Mask broadcast(Mask x) { return x; }
LOSSC_FN Mask either(Mask a, Mask b) { return a | b; }
LOSSC_FN Mask either(bool a, Mask b) { return broadcast(a) | b; }
LOSSC_FN Mask either(Mask a, bool b) { return a | broadcast(b); }
template <class A, class B> LOSSC_FN auto select(Mask c, A a, B b) { return c ? broadcast(a) : broadcast(b); }
LOSSC_FN Packet select(bool c, Packet a, Packet b) { return c ? a : b; }
LOSSC_FN Packet select(bool c, float a, Packet b) { return c ? broadcast(a) : b; }
LOSSC_FN Packet select(bool c, Packet a, float b) { return c ? a : broadcast(b); }
LOSSC_FN Mask select(bool c, Mask a, Mask b) { return c ? a : b; }
LOSSC_FN Mask select(bool c, bool a, Mask b) { return c ? broadcast(a) : b; }
LOSSC_FN Mask select(bool c, Mask a, bool b) { return c ? a : broadcast(b); }

LOSSC_FN double excess_(float) { return 0.0; }  // exponent_ gives exactly 0 at the maximum

}  // namespace lossc
