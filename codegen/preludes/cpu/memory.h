// Packets in memory, widened and narrowed.
#pragma once

#include "machine.h"

namespace lossc {

LOSSC_FN Packet widened(Halves h, bf16) { return (Packet)(__builtin_convertvector(h, Bits) << 16); }
LOSSC_FN Packet widened(Halves halves, f16) {
  const Bits h = __builtin_convertvector(halves, Bits), magnitude = h & 0x7fffu, sign = (h & 0x8000u) << 16;
  const Bits finite = (Bits)((Packet)(magnitude << 13) * 0x1p112f);
  const Mask special = (Mask)(magnitude >= 0x7c00u);
  return (Packet)(sign | (((Bits)special & (0x7f800000u | (magnitude << 13))) | (~(Bits)special & finite)));
}
LOSSC_FN Packet widen_packet(const float* p) { Packet r; __builtin_memcpy(&r, p, sizeof r); return r; }
template <class T> LOSSC_FN Packet widen_packet(const T* p) { Halves h; __builtin_memcpy(&h, p, sizeof h); return widened(h, T()); }
// The first `count` entries of a packet, and zeros for the others.
LOSSC_FN Packet edge_packet(const float* p, index count) { return load_first(p, count); }
template <class T> LOSSC_FN Packet edge_packet(const T* p, index count) { return widened(load_first(&p->bits, count), T()); }

// Stores a packet, and returns it as rounded.
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
// Stores the first `count` entries of a packet, and returns all of it as rounded.
LOSSC_FN Packet narrow_edge(Packet x, float* p, index count) { return store_first(x, p, count), x; }
template <class T> LOSSC_FN Packet narrow_edge(Packet x, T* p, index count) {
  T narrowed[kLanes];
  x = narrow_packet(x, narrowed);
  for (index i = 0; i < count; ++i) p[i] = narrowed[i];
  return x;
}

}  // namespace lossc
