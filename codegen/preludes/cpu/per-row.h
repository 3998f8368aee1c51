// Values of a team of several rows: one lane of a packet is the value of one row. `V` is Packet, or Mask for truth values and whole numbers.
#pragma once

#include "doubles.h"
#include "functions.h"
#include "math.h"

namespace lossc {

template <class V> struct PerRow { V v; };
// A packet of entries of one of the rows. Beside a value per row, the value of their row counts.
template <class V> struct Entries {
  V v;
  int row;
};
// Consecutive tokens: at most one per lane.
struct Tokens {
  index first;
  int count;
};
// Indices in memory of the tokens' rows, one in each lane.
struct Places {
  Mask at;
  int count;
};

template <bool> struct If {};
template <> struct If<true> { using type = void; };
template <class X> constexpr bool kPerRow = false;
template <class V> constexpr bool kPerRow<PerRow<V>> = true;
template <class X> constexpr bool kEntries = false;
template <class V> constexpr bool kEntries<Entries<V>> = true;
template <class... X> using IfOfRows = typename If<(kPerRow<X> || ...) || (kEntries<X> || ...)>::type;

template <class V> LOSSC_FN PerRow<V> per_row(V v) { return {v}; }
LOSSC_FN PerRow<Packet> per_row(float x) { return {broadcast(x)}; }
template <class V> LOSSC_FN Entries<V> entries_of(int row, V v) { return {v, row}; }

template <class X> LOSSC_FN X lanes(const X& x) { return x; }
template <class V> LOSSC_FN V lanes(const PerRow<V>& x) { return x.v; }
LOSSC_FN float in_row(int row, const PerRow<Packet>& x) { return reinterpret_cast<const float*>(&x.v)[row]; }
LOSSC_FN int in_row(int row, const PerRow<Mask>& x) { return reinterpret_cast<const int*>(&x.v)[row]; }
template <class V> LOSSC_FN V in_row(int, const Entries<V>& x) { return x.v; }
template <class X> LOSSC_FN X in_row(int, const X& x) { return x; }
template <class X> LOSSC_FN int row_of(const X&) { return 0; }
template <class V> LOSSC_FN int row_of(const Entries<V>& x) { return x.row; }

// Applies a function of packets and numbers to values per row and to entries.
template <class F, class... X> LOSSC_FN auto lift(const F& f, const X&... x) {
  if constexpr ((kEntries<X> || ...)) {
    const int row = (row_of(x) | ...);
    return entries_of(row, f(in_row(row, x)...));
  } else {
    return per_row(f(lanes(x)...));
  }
}

#define LOSSC_OPERATOR(op)                                                                                 \
  template <class A, class B, class = IfOfRows<A, B>> LOSSC_FN auto operator op(const A& a, const B& b) {  \
    return lift([](auto x, auto y) LOSSC_INLINE { return x op y; }, a, b);                                 \
  }
LOSSC_OPERATOR(+)
LOSSC_OPERATOR(-)
LOSSC_OPERATOR(*)
LOSSC_OPERATOR(/)
LOSSC_OPERATOR(==)
LOSSC_OPERATOR(!=)
LOSSC_OPERATOR(<)
LOSSC_OPERATOR(<=)
LOSSC_OPERATOR(>)
LOSSC_OPERATOR(>=)
LOSSC_OPERATOR(&)
LOSSC_OPERATOR(|)
template <class A, class = IfOfRows<A>> LOSSC_FN auto operator-(const A& a) { return lift([](auto x) LOSSC_INLINE { return -x; }, a); }
template <class A, class = IfOfRows<A>> LOSSC_FN auto operator!(const A& a) { return lift([](auto x) LOSSC_INLINE { return x == 0; }, a); }

#define LOSSC_OF_ROWS(name)                                                          \
  template <class... X, class = IfOfRows<X...>> LOSSC_FN auto name(const X&... x) {  \
    return lift([](auto... y) LOSSC_INLINE { return name(y...); }, x...);            \
  }
LOSSC_OF_ROWS(either)
LOSSC_OF_ROWS(plus_product)
LOSSC_EACH_OF_PACKETS(LOSSC_OF_ROWS)

// The functions that most losses apply to a token, in float64 and rounded once; the others are libm's, lane by lane.
LOSSC_FN PerRow<Packet> exp_(const PerRow<Packet>& x) { return {joined(exp_(lower_half(x.v)), exp_(upper_half(x.v)))}; }
LOSSC_FN Doubles logprob_(Doubles z, Doubles m, Doubles s) {
  const Doubles l = (z - m) - log_(s);
  return l > 0.0 ? Doubles{} : l;
}
LOSSC_FN PerRow<Packet> logprob_(const PerRow<Packet>& z, const PerRow<Packet>& m, const PerRow<Packet>& s) {
  return {joined(logprob_(lower_half(z.v), lower_half(m.v), lower_half(s.v)), logprob_(upper_half(z.v), upper_half(m.v), upper_half(s.v)))};
}
LOSSC_FN PerRow<Packet> number(const PerRow<Mask>& i) { return {__builtin_convertvector(i.v, Packet)}; }

template <class X> LOSSC_FN Entries<Packet> as_entry(Entries<Packet> z, const X& x) { return {broadcast(in_row(z.row, x)), z.row}; }
template <class X> LOSSC_FN PerRow<Packet> as_entry(const PerRow<Packet>&, const X& x) { return per_row(lanes(x)); }

template <class V, class Then> LOSSC_FN auto when(const PerRow<Mask>& condition, V otherwise, const Then& then) {
  return select(condition, then(), otherwise);
}
template <int N, class Then> LOSSC_FN auto when(const PerRow<Mask>& condition, const Values<N, float>& otherwise, const Then& then) {
  auto r = then();
  for (int k = 0; k < N; ++k) r.v[k] = select(condition, r.v[k], otherwise.v[k]);
  return r;
}

// ---- memory: elements of consecutive tokens, and elements by index ----

LOSSC_FN Mask there(const Tokens& t) { return kPlaces < t.count; }

template <class T> LOSSC_FN PerRow<Packet> load(const T* p, const Tokens& t) {
  return {t.count == kLanes ? widen_packet(p + t.first) : edge_packet(p + t.first, t.count)};
}
template <class T> LOSSC_FN PerRow<Packet> load(const T* p, const PerRow<Mask>& i) {
  Packet r;
  for (int l = 0; l < kLanes; ++l) r[l] = load(p, index(i.v[l]));
  return {r};
}
template <class T> LOSSC_FN PerRow<Packet> load_or(const T* p, const Tokens& t, float otherwise) { return p ? load(p, t) : per_row(otherwise); }
template <class T> LOSSC_FN PerRow<Packet> load_or(const T* p, const PerRow<Mask>& i, float otherwise) {
  return p ? load(p, i) : per_row(otherwise);
}
// Lanes beyond the last token repeat the first one, so that a look-up by them stays in range.
LOSSC_FN PerRow<Mask> read(const int* p, const Tokens& t) {
  Mask r;
  if (t.count == kLanes) return __builtin_memcpy(&r, p + t.first, sizeof r), PerRow<Mask>{r};
  for (int l = 0; l < kLanes; ++l) r[l] = read(p, t.first + (l < t.count ? l : 0));
  return {r};
}
LOSSC_FN PerRow<Mask> read(const int* p, const PerRow<Mask>& i) {
  Mask r;
  for (int l = 0; l < kLanes; ++l) r[l] = read(p, index(i.v[l]));
  return {r};
}

// As place_of a single token.
LOSSC_FN Places place_of(const int* rows, const Tokens& t, index first) {
  return {rows ? read(rows, t).v : kPlaces + int(t.first - first), t.count};
}

LOSSC_FN void flag_lanes(unsigned* status, int word, const Tokens& t, Mask faults) {
  if (const unsigned seen = bits_of(faults & there(t))) flag(status, word, t.first + __builtin_ctz(seen));
}
template <class X> LOSSC_FN void flag_non_finite(unsigned* status, int word, const Tokens& t, const X& x) {
  const Packet v = broadcast(lanes(x));
  flag_lanes(status, word, t, v - v != 0.0f);
}
LOSSC_FN PerRow<Mask> load_index(const int* indices, const Tokens& t, index vocab, unsigned* status) {
  const Mask named = read(indices, t).v, wrong = (named < 0) | (named >= int(vocab));
  flag_lanes(status, kIndexFault, t, wrong);
  return {wrong ? Mask{} : named};
}

}  // namespace lossc
