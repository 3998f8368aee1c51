// One thread per row. A packet is 16 entries: one SIMD register where the processor is that wide, several where not.

constexpr int kLanes = 16;
typedef float Packet __attribute__((vector_size(64)));
typedef int Mask __attribute__((vector_size(64)));
typedef unsigned Bits __attribute__((vector_size(64)));
typedef unsigned short Halves __attribute__((vector_size(32)));

template <> LOSSC_FN Packet splat<Packet>(float x) { return x - Packet{}; }
LOSSC_FN Packet broadcast(float x) { return splat<Packet>(x); }
LOSSC_FN Packet broadcast(Packet x) { return x; }
LOSSC_FN Mask either(Mask a, Mask b) { return a | b; }
template <class A, class B> LOSSC_FN Packet select(Mask c, A a, B b) { return c ? broadcast(a) : broadcast(b); }
LOSSC_FN Packet select(bool c, Packet a, Packet b) { return c ? a : b; }
LOSSC_FN Packet select(bool c, float a, Packet b) { return c ? broadcast(a) : b; }
LOSSC_FN Packet select(bool c, Packet a, float b) { return c ? a : broadcast(b); }

// exp to 2 ulp: 2^n · e^r with |r| <= ln 2 / 2. exp(0) is exactly 1, exp(-inf) exactly 0, below the normal numbers it is 0.
LOSSC_FN Packet exp_(Packet x) {
  const Packet magic = broadcast(12582912.0f);  // adding it rounds to a whole number, kept in the low bits
  const Packet shifted = x * 1.44269504f + magic;
  const Packet n = shifted - magic;
  const Packet r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Packet p = broadcast(1.0f / 5040.0f);
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Bits scale = ((Bits)shifted << 23) + (127u << 23);
  p = p * (Packet)scale;
  p = select(x < -87.0f, 0.0f, p);
  p = select(x > 88.0f, LOSSC_INFINITY, p);
  return select(x != x, x, p);
}

LOSSC_FN Packet fast_exp_(Packet x) { return exp_(x); }
LOSSC_FN Packet exp_from_(Packet x, float m) { return exp_(x - m); }
LOSSC_FN float fast_exp_(float x) { return exp_(x); }

LOSSC_FN Packet widen_packet(const float* p) { Packet r; __builtin_memcpy(&r, p, sizeof r); return r; }
LOSSC_FN Bits widen_halves(const void* p) { Halves h; __builtin_memcpy(&h, p, sizeof h); return __builtin_convertvector(h, Bits); }
LOSSC_FN Packet widen_packet(const bf16* p) { return (Packet)(widen_halves(p) << 16); }
LOSSC_FN Packet widen_packet(const f16* p) {
  const Bits h = widen_halves(p), magnitude = h & 0x7fffu, sign = (h & 0x8000u) << 16;
  const Bits finite = (Bits)((Packet)(magnitude << 13) * 0x1p112f);
  const Mask special = (Mask)(magnitude >= 0x7c00u);
  return (Packet)(sign | (((Bits)special & (0x7f800000u | (magnitude << 13))) | (~(Bits)special & finite)));
}
LOSSC_FN void narrow_packet(Packet x, float* p) { __builtin_memcpy(p, &x, sizeof x); }
LOSSC_FN void narrow_halves(Bits b, void* p) { const Halves h = __builtin_convertvector(b, Halves); __builtin_memcpy(p, &h, sizeof h); }
LOSSC_FN void narrow_packet(Packet x, bf16* p) {
  const Bits b = (Bits)x, rounded = (b + 0x7fffu + ((b >> 16) & 1u)) >> 16, nan = (Bits)(x != x);
  narrow_halves((nan & 0x7fc0u) | (~nan & rounded), p);
}
LOSSC_FN void narrow_packet(Packet x, f16* p) {
  for (int i = 0; i < kLanes; ++i) narrow(x[i], p[i]);
}
