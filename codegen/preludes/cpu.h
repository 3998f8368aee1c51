// One thread per row. A packet is 16 entries: one SIMD register where the processor is that wide, several where not.

constexpr int kLanes = 16;
typedef float Packet __attribute__((vector_size(64)));
typedef int Mask __attribute__((vector_size(64)));
typedef unsigned Bits __attribute__((vector_size(64)));
[[maybe_unused]] constexpr Mask kPlaces = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#define LOSSC_INLINE __attribute__((always_inline))
template <bool B> struct Known { static constexpr bool value = B; };
typedef unsigned short Halves __attribute__((vector_size(32)));

template <> LOSSC_FN Packet splat<Packet>(float x) { return x - Packet{}; }
LOSSC_FN Packet broadcast(float x) { return splat<Packet>(x); }
LOSSC_FN Packet broadcast(Packet x) { return x; }
LOSSC_FN Mask broadcast(bool x) { return int(x) - Mask{}; }
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

// What has an instruction on some processors, and a few on all others: a · b + c rounded once (or twice), x · 2^n, and the bounds
// of x, where NaN stays NaN.
#ifdef __AVX512F__
LOSSC_FN Packet fma_(Packet a, Packet b, Packet c) { return (Packet)__builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4); }
LOSSC_FN Packet scale_(Packet x, Packet n) { return (Packet)__builtin_ia32_scalefps512_mask(x, n, Packet{}, -1, 4); }
// The instructions give the second operand where either is NaN; where that is not the NaN, the mask has kept the first.
LOSSC_FN unsigned short ordered(Packet x) { return __builtin_ia32_cmpps512_mask(x, x, 7, -1, 4); }
LOSSC_FN Packet max_(Packet a, Packet b) { return (Packet)__builtin_ia32_maxps512_mask(b, a, b, ordered(b), 4); }
LOSSC_FN Packet min_(Packet a, Packet b) { return (Packet)__builtin_ia32_minps512_mask(b, a, b, ordered(b), 4); }
LOSSC_FN Packet at_least(Packet x, float low) { return (Packet)__builtin_ia32_maxps512_mask(broadcast(low), x, Packet{}, -1, 4); }
LOSSC_FN Packet at_most(Packet x, float high) { return (Packet)__builtin_ia32_minps512_mask(broadcast(high), x, Packet{}, -1, 4); }
#else
#if defined(__AVX2__) && defined(__FMA__)
typedef float Half __attribute__((vector_size(32)));
LOSSC_FN Packet fma_(Packet a, Packet b, Packet c) {
  struct Two { Half v[2]; };
  const Two x = __builtin_bit_cast(Two, a), y = __builtin_bit_cast(Two, b), z = __builtin_bit_cast(Two, c);
  return __builtin_bit_cast(Packet, Two{{__builtin_ia32_vfmaddps256(x.v[0], y.v[0], z.v[0]), __builtin_ia32_vfmaddps256(x.v[1], y.v[1], z.v[1])}});
}
#else
#define LOSSC_NO_FMA
LOSSC_FN Packet fma_(Packet a, Packet b, Packet c) { return a * b + c; }
#endif
LOSSC_FN Packet scale_(Packet x, Packet n) {
  // In two steps, each of which is a normal number: so what is too small ends at 0, and what is too large at infinity.
  const Mask whole = __builtin_convertvector(n, Mask), half = whole >> 1, rest = whole - half;
  return (x * (Packet)((half + 127) << 23)) * (Packet)((rest + 127) << 23);
}
LOSSC_FN Packet at_least(Packet x, float low) { return x < low ? broadcast(low) : x; }
LOSSC_FN Packet at_most(Packet x, float high) { return x > high ? broadcast(high) : x; }
#endif

// x log2 e - n, for the whole number n that is nearest: without a multiply-add by way of x - n ln 2, whose first product is exact.
LOSSC_FN Packet reduced(Packet x, Packet n) {
#ifdef LOSSC_NO_FMA
  return ((x - n * 0.693359375f) + n * 2.12194440e-4f) * kLog2e;
#else
  return fma_(x, broadcast(1.92596299e-8f), fma_(x, broadcast(kLog2e), -n));
#endif
}
// A bit per lane.
LOSSC_FN unsigned bits_of(Mask m) {
#ifdef __AVX512F__
  return __builtin_ia32_ptestmd512(m, m, -1);
#else
  unsigned bits = 0;
  for (int l = 0; l < kLanes; ++l) bits |= unsigned(m[l] != 0) << l;
  return bits;
#endif
}
LOSSC_FN bool any(Mask m) { return bits_of(m) != 0; }

[[maybe_unused]] constexpr float kMagic = 12582912.0f;  // adding it rounds to a whole number

// 2^n · 2^f, |f| <= 1/2.
LOSSC_FN Packet power_(Packet n, Packet f) {
  Packet p = broadcast(1.5353362e-4f);
  p = fma_(p, f, broadcast(0.00133988739f));
  p = fma_(p, f, broadcast(0.00961843692f));
  p = fma_(p, f, broadcast(0.0555033237f));
  p = fma_(p, f, broadcast(0.240226477f));
  p = fma_(p, f, broadcast(0.693147182f));
  p = fma_(p, f, broadcast(1.0f));
  return scale_(p, n);
}

// To 1.5 ulp.
LOSSC_FN Packet exp_(Packet x) {
  x = at_most(at_least(x, -150.0f), 150.0f);
  const Packet n = fma_(x, broadcast(kLog2e), broadcast(kMagic)) - kMagic;
  return power_(n, reduced(x, n));
}
LOSSC_FN Packet fast_exp_(Packet x) { return exp_(x); }
// Of what is not above 200, or what nobody looks at: lanes beyond a row's end. exp2_(0) is exactly 1, exp2_(-inf) exactly 0.
LOSSC_FN Packet exp2_(Packet x) {
  x = at_least(x, -200.0f);
  const Packet n = (x + kMagic) - kMagic;
  return power_(n, x - n);
}
template <class C, class A, class B> LOSSC_FN Packet plus_product(Packet sum, C holds, A a, B b) {
  return select(holds, fma_(broadcast(a), broadcast(b), sum), sum);
}
template <class C, class A> LOSSC_FN Packet plus_product(float sum, C holds, A a, Packet b) { return plus_product(broadcast(sum), holds, a, b); }
template <class C> LOSSC_FN Packet plus_product(float sum, C holds, Packet a, float b) { return plus_product(broadcast(sum), holds, a, b); }
// (x - m) log2 e, which is 0 at the maximum; or (c · x - m) log2 e, which rounding shifts alike for every entry of the row.
LOSSC_FN float exponent_(float x, float m) { return (x - m) * kLog2e; }
LOSSC_FN float exponent_(float x, float m, float c) { return __builtin_fmaf(x, c * kLog2e, -(m * kLog2e)); }
LOSSC_FN double excess_(float) { return 0.0; }
template <class M> LOSSC_FN Packet exponent_(Packet x, M m) { return (x - m) * kLog2e; }
template <class M, class C> LOSSC_FN Packet exponent_(Packet x, M m, C c) { return fma_(x, broadcast(c * kLog2e), broadcast(-(m * kLog2e))); }
LOSSC_FN float fast_exp_(float x) { return exp_(x); }

LOSSC_FN Packet widen_packet(const float* p) { Packet r; __builtin_memcpy(&r, p, sizeof r); return r; }
template <class T> LOSSC_FN Halves halves_at(const T* p) { Halves h; __builtin_memcpy(&h, p, sizeof h); return h; }
LOSSC_FN Packet widened(Halves h, bf16) { return (Packet)(__builtin_convertvector(h, Bits) << 16); }
LOSSC_FN Packet widened(Halves halves, f16) {
  const Bits h = __builtin_convertvector(halves, Bits), magnitude = h & 0x7fffu, sign = (h & 0x8000u) << 16;
  const Bits finite = (Bits)((Packet)(magnitude << 13) * 0x1p112f);
  const Mask special = (Mask)(magnitude >= 0x7c00u);
  return (Packet)(sign | (((Bits)special & (0x7f800000u | (magnitude << 13))) | (~(Bits)special & finite)));
}
template <class T> LOSSC_FN Packet widen_packet(const T* p) { return widened(halves_at(p), T()); }
// Fewer than 16, filled up with zeros.
template <class T> LOSSC_FN Packet edge_packet(const T* p, index count) {
  Packet r{};
  for (index i = 0; i < count; ++i) r[i] = widen(p[i]);
  return r;
}
// Stores a packet, and gives what it has become.
LOSSC_FN Packet narrow_packet(Packet x, float* p) { __builtin_memcpy(p, &x, sizeof x); return x; }
LOSSC_FN Packet narrow_packet(Packet x, bf16* p) {
  const Bits b = (Bits)x, nan = (Bits)(x != x);
  const Bits rounded = (nan & 0x7fc0u) | (~nan & ((b + 0x7fffu + ((b >> 16) & 1u)) >> 16));
  const Halves h = __builtin_convertvector(rounded, Halves);
  __builtin_memcpy(p, &h, sizeof h);
  return (Packet)(rounded << 16);
}
LOSSC_FN Packet narrow_packet(Packet x, f16* p) {
  for (int i = 0; i < kLanes; ++i) narrow(x[i], p[i]);
  return widen_packet(p);
}
// Stores fewer than 16, and gives what all have become.
template <class T> LOSSC_FN Packet narrow_edge(Packet x, T* p, index count) {
  T narrowed[kLanes];
  x = narrow_packet(x, narrowed);
  for (index i = 0; i < count; ++i) p[i] = narrowed[i];
  return x;
}
#ifdef __AVX512F__
LOSSC_FN unsigned short first_of(index count) { return (unsigned short)((1u << count) - 1u); }
LOSSC_FN Packet edge_packet(const float* p, index count) { return __builtin_ia32_loadups512_mask(p, Packet{}, first_of(count)); }
LOSSC_FN Packet narrow_edge(Packet x, float* p, index count) { return __builtin_ia32_storeups512_mask(p, x, first_of(count)), x; }
#if defined(__AVX512BW__) && defined(__AVX512VL__)
typedef short Shorts __attribute__((vector_size(32)));
template <class T> LOSSC_FN Packet edge_of_halves(const T* p, index count) {
  return widened((Halves)__builtin_ia32_loaddquhi256_mask((const short*)p, Shorts{}, first_of(count)), T());
}
LOSSC_FN Packet edge_packet(const bf16* p, index count) { return edge_of_halves(p, count); }
LOSSC_FN Packet edge_packet(const f16* p, index count) { return edge_of_halves(p, count); }
#endif
#endif
