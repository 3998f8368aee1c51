// A row on one thread: phases and the store of the gradient.
#pragma once

#include "math.h"
#include "doubles.h"

namespace lossc {

// A thread that works on ROWS at once.
template <int ROWS>
struct Team {
  using Tokens = index;
  LOSSC_FN bool leads() const { return true; }
  // Counts `count` arrivals; true for the one that completes `members`, which then sees the writes of the others.
  LOSSC_FN bool arrive(unsigned* counter, index count, index members) const {
    if (count == members) return true;
    if (atomic_add(counter, unsigned(count)) + unsigned(count) != unsigned(members)) return false;
    *counter = 0;
    return true;
  }
  template <class F, class T> LOSSC_FN double fold_run(const T* values, index begin, index end) const {
    double r = F::template identity<double>();
    for (index i = begin; i < end; ++i) r = F::merge(r, double(values[i]));
    return r;
  }
};

template <class T>
struct Row {
  const T* data;
  index count;
  index ahead;  // distance to the row that this thread works on next
  // Prefetches the next row while the processor computes exponentials.
  LOSSC_FN int expect(index i) const { return __builtin_prefetch(data + i + ahead), 0; }
};
// Opens a row. The leaf comes first; another row is given those that are open.
template <class T, class... Open>
LOSSC_FN Row<T> open(const Team<1>&, bool, const T* p, index place, index vocab, const Open&...) { return {p + place * vocab, vocab, vocab}; }
// Opens the row that all tokens share.
template <class T, class... Open>
LOSSC_FN Row<T> open_shared(const Team<1>&, bool, const T* p, index vocab, const Open&...) { return {p, vocab, 0}; }
// The row of the entries' numbers, which lies nowhere.
struct EntryNumbers {
  index count;
  LOSSC_FN int expect(index) const { return 0; }
};
template <class... Open> LOSSC_FN EntryNumbers open_indices(const Team<1>&, bool, index vocab, const Open&...) { return {vocab}; }
LOSSC_FN float at(const EntryNumbers&, index i) { return float(i); }
LOSSC_FN Packet packet_at(const EntryNumbers&, index i) { return __builtin_convertvector(kPlaces + int(i), Packet); }
LOSSC_FN Packet edge_at(const EntryNumbers& row, index i, index) { return packet_at(row, i); }
template <class T> LOSSC_FN float at(const Row<T>& row, index i) { return load(row.data, i); }
template <class T> LOSSC_FN Packet packet_at(const Row<T>& row, index i) { return widen_packet(row.data + i); }
template <class T> LOSSC_FN Packet edge_at(const Row<T>& row, index i, index left) { return edge_packet(row.data + i, left); }
// Whether the entry is not there: it is -inf in the leaf.
template <class T, class V> LOSSC_FN auto absent(const Row<T>&, const V& z) { return z == -LOSSC_INFINITY; }

// A row of f(entry). The fold computes f, and the store computes it again.
template <class T, class F>
struct Derived {
  Row<T> row;
  F f;
  index count = row.count;
  LOSSC_FN int expect(index i) const { return row.expect(i); }
};
template <class T, class F> LOSSC_FN Packet packet_at(const Derived<T, F>& from, index i) { return from.f(packet_at(from.row, i)); }
template <class T, class F> LOSSC_FN Packet edge_at(const Derived<T, F>& from, index i, index left) { return from.f(edge_at(from.row, i, left)); }
template <class T, class F> LOSSC_FN Derived<T, F> cache_exp(T*, index, const Row<T>& row, const F& f) { return {row, f}; }
template <class T, class F> LOSSC_FN Derived<T, F> cached_exp(T*, index, const Row<T>& row, const F& f) { return {row, f}; }

// For float32 the fold keeps f(entry) in the row of the gradient, and the store reads it there: all whole packets. The last part of a packet is
// computed again, since it would be stored under a mask, and a load that may touch what such a store has written, such as the next row, waits for it.
// f is nowhere negative: -0 marks an absent entry.
constexpr float kAbsent = -0.0f;
LOSSC_FN bool is_absent(float e) { return as_bits(e) == as_bits(kAbsent); }
LOSSC_FN Mask is_absent(Packet e) { return (Bits)e == as_bits(kAbsent); }
LOSSC_FN Packet marked(Packet z, Packet e) { return select(z == -LOSSC_INFINITY, kAbsent, e); }
template <class F>
struct Keeping {
  Row<float> row;
  F f;
  float* to;
  index count = row.count;
  LOSSC_FN int expect(index i) const { return row.expect(i); }
};
template <class F> LOSSC_FN Packet packet_at(const Keeping<F>& keeping, index i) {
  const Packet z = packet_at(keeping.row, i), e = keeping.f(z);
  narrow_packet(marked(z, e), keeping.to + i);
  return e;
}
template <class F> LOSSC_FN Packet edge_at(const Keeping<F>& keeping, index i, index left) { return keeping.f(edge_at(keeping.row, i, left)); }
template <class F>
struct Kept {
  Row<float> row;
  F f;
  const float* from;
  index count = row.count;
  LOSSC_FN int expect(index i) const { return row.expect(i); }
  LOSSC_FN Packet again(Packet z) const { return marked(z, f(z)); }
};
template <class F> LOSSC_FN float at(const Kept<F>& kept, index i) {
  return i < kept.count / kLanes * kLanes ? kept.from[i] : kept.again(broadcast(at(kept.row, i)))[0];
}
template <class F> LOSSC_FN Packet packet_at(const Kept<F>& kept, index i) { return widen_packet(kept.from + i); }
template <class F> LOSSC_FN Packet edge_at(const Kept<F>& kept, index i, index left) { return kept.again(edge_at(kept.row, i, left)); }
template <class F, class V> LOSSC_FN auto absent(const Kept<F>&, const V& e) { return is_absent(e); }
template <class F> LOSSC_FN Keeping<F> cache_exp(float* out, index place, const Row<float>& row, const F& f) { return {row, f, out + place * row.count}; }
template <class F> LOSSC_FN Kept<F> cached_exp(float* out, index place, const Row<float>& row, const F& f) { return {row, f, out + place * row.count}; }

// Merges each lane with the one AWAY from it.
template <class F, int AWAY, class V, int... I> LOSSC_FN V fold_across(V x, Indices<I...>) { return F::merge(x, shuffled(x, x, Indices<(I ^ AWAY)...>())); }
template <class F, int AWAY, class V> LOSSC_FN V fold_vector(V x) {
  if constexpr (AWAY == 0) return x;
  else return fold_vector<F, AWAY / 2>(fold_across<F, AWAY>(x, lanes_of(x)));
}
// Folds the lanes of a packet, by halves: sums in float64; maxima and minima, which are not rounded, in float32.
template <class F> LOSSC_FN Doubles folded_halves(Packet x) {
  return F::merge(lower_half(x), upper_half(x));
}
template <class F> LOSSC_FN double fold_lanes(Packet x) {
  if constexpr (F::kOrdered) return fold_vector<F, kLanes / 4>(folded_halves<F>(x))[0];
  else return fold_vector<F, kLanes / 2>(x)[0];
}

// Terms of a sum.
template <class C, class V> LOSSC_FN auto only_where(C holds, V v) { return select(holds, v, 0.0f); }
template <class C, class A, class B> LOSSC_FN auto product_where(C holds, A a, B b) { return select(holds, a * b, 0.0f); }
template <class... V> LOSSC_FN auto summands(V... v) { return values(v...); }

// Folds map(entry, …) over rows that are read together, lane by lane.
template <class All, class Map, class First, class... Others>
LOSSC_FN auto fold_packets(const Map& map, const First& first, const Others&... others) {
  constexpr int kChains = 4;  // independent accumulators: they hide latency and keep a long sum accurate
  Values<All::N, Packet> acc[kChains];
  for (auto& a : acc) a = All::template identity<Packet>();
  const auto at_packet = [&](index i) LOSSC_INLINE {
    if (All::kOrdered) (first.expect(i), ..., others.expect(i));
    return map(packet_at(first, i), packet_at(others, i)...);
  };
  index i = 0;
  for (; i + kChains * kLanes <= first.count; i += kChains * kLanes)
    for (int c = 0; c < kChains; ++c) acc[c] = All::merge(acc[c], at_packet(i + c * kLanes));
  for (; i + kLanes <= first.count; i += kLanes) acc[0] = All::merge(acc[0], at_packet(i));
  if (const index left = first.count - i; left > 0) {
    const auto edge = map(edge_at(first, i, left), edge_at(others, i, left)...);
    for (int k = 0; k < All::N; ++k) acc[1].v[k] = select(kPlaces < int(left), All::merge(acc[1], edge).v[k], acc[1].v[k]);
  }
  return All::merge(All::merge(acc[0], acc[1]), All::merge(acc[2], acc[3]));
}

template <class... F, class Map, class... Rows> LOSSC_FN auto fold(const Team<1>&, const Map& map, const Rows&... rows) {
  const auto all = fold_packets<Folds<F...>>(map, rows...);
  Values<sizeof...(F), float> r;
  int k = 0;
  ((r.v[k] = float(fold_lanes<F>(all.v[k])), ++k), ...);
  return r;
}

// A thread has the whole row: its part is the row, and its maxima are the row's.
template <class... F, class Team, class Map, class... Rows>
LOSSC_FN auto fold_part(const Team& team, const Map& map, const Rows&... rows) { return fold<F...>(team, map, rows...); }
// Folds the entries themselves.
template <class F, class Team, class Row> LOSSC_FN auto fold_part(const Team& team, const Row& row) {
  return fold<F>(team, [](auto z) { return values(z); }, row);
}
// The maximum of c · entry, where `top` is that of the entries.
template <class T> LOSSC_FN float scaled_max(const Team<1>& team, const Values<1, float>& top, float c, const Row<T>& row) {
  return c > 0.0f ? top.v[0] * c : fold<Max>(team, [&](auto z) { return values(z * c); }, row).v[0];
}
template <class Team, class V> LOSSC_FN V base_(const Team&, const V& maximum) { return maximum; }
template <class... Rules, class Team, int N, int K, class V>
LOSSC_FN Values<N + K, V> merge_partials(const Team&, const Values<N, V>& maxima, const Values<K, V>& sums) {
  Values<N + K, V> r;
  for (int i = 0; i < N; ++i) r.v[i] = maxima.v[i];
  for (int i = 0; i < K; ++i) r.v[N + i] = sums.v[i];
  return r;
}

template <class T> LOSSC_FN bool all_finite(const T* p, index count) {
  bool finite = true;
  for (index i = 0; i < count; ++i) finite &= is_finite_(widen(p[i]));
  return finite;
}

// Stores map(entry, …) for every entry of the rows, 0 where the first row's, the leaf's, is absent, and then `mended` over the named one, so that no
// branch depends on the target. The row may be written over one that is read. False where a stored value is not finite.
template <class T, class Map, class Leaf, class... Others>
LOSSC_FN bool store_packets(T* to, index named, float mended, const Map& map, const Leaf& leaf, const Others&... others) {
  Packet poison{};  // 0 · finite is 0
  index i = 0;
  for (; i + kLanes <= leaf.count; i += kLanes) {
    (leaf.expect(i), ..., others.expect(i));
    const Packet z = packet_at(leaf, i), g = map(z, packet_at(others, i)...);
    poison = fma_(narrow_packet(select(absent(leaf, z), 0.0f, g), to + i), Packet{}, poison);
  }
  if (const index left = leaf.count - i; left > 0) {
    const Packet z = edge_at(leaf, i, left), g = map(z, edge_at(others, i, left)...);
    const Packet stored = narrow_edge(select(absent(leaf, z), 0.0f, g), to + i, left);
    poison = fma_(select(kPlaces < int(left), stored, 0.0f), Packet{}, poison);
  }
  narrow(mended, to[named]);
  // The value that `mended` has replaced may have been the only one that was not finite, which is rare.
  return any(poison != poison) ? all_finite(to, leaf.count) : is_finite_(widen(to[named]));
}

template <class T, class Map, class Mend, class Leaf, class... Others>
LOSSC_FN bool store_row(const Team<1>&, T* out, index place, index vocab, index named, const Map& map, const Mend& mend, const Leaf& leaf,
                        const Others&... others) {
  const float z = at(leaf, named), mended = absent(leaf, z) ? 0.0f : mend(z, at(others, named)...);
  return store_packets(out + place * vocab, named, mended, map, leaf, others...);
}

template <class T, class Map, class Mend, class F>
LOSSC_FN bool store_row(const Team<1>& team, T* out, index place, index vocab, index named, const Map& map, const Mend& mend, const Derived<T, F>& from) {
  return store_row(team, out, place, vocab, named, [&](auto z) LOSSC_INLINE { return map(from.f(z)); }, [&](auto z) LOSSC_INLINE { return mend(from.f(z)); },
                   from.row);
}

template <class T> LOSSC_FN void fill_row(const Team<1>&, T* out, index place, index vocab, float v) {
  if (place < 0) return;
  T* const to = out + place * vocab;
  index i = 0;
  for (; i + kLanes <= vocab; i += kLanes) narrow_packet(broadcast(v), to + i);
  narrow_edge(broadcast(v), to + i, vocab - i);
}

// Stores a value per token that the whole team holds.
template <class T> LOSSC_FN void put(const Team<1>&, T* p, index i, float v) { store(p, i, v); }
LOSSC_FN void put(const Team<1>&, double* p, index i, double v) { store(p, i, v); }

}  // namespace lossc
