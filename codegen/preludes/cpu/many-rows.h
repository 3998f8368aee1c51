// Short rows on one thread, as many as a packet has lanes. Each row is read and written by packets of its own entries. Between the phases the team
// works on all rows at once, one in each lane: a chain of operations per row, each of which waits for the one before, runs once for all of them.
#pragma once

#include "per-row.h"
#include "rows.h"

namespace lossc {

template <> struct Team<kLanes> { using Tokens = lossc::Tokens; };

template <class T>
struct Rows {
  const T* data;
  index count;
  Mask places;
  unsigned visited;  // a bit per row that is there and read
  LOSSC_FN bool visits(int r) const { return visited >> r & 1u; }
  LOSSC_FN Row<T> row(int r) const { return {data + places[r] * count, count, kLanes * count}; }
};
template <class T, class... Open>
LOSSC_FN Rows<T> open(const Team<kLanes>&, const PerRow<Mask>& reads, const T* p, const Places& place, index vocab, const Open&...) {
  return {p, vocab, place.at, bits_of(reads.v & (kPlaces < place.count))};
}
template <class T, class... Open>
LOSSC_FN Rows<T> open(const Team<kLanes>& team, const PerRow<Mask>& reads, const T* p, const Tokens& t, index vocab, const Open&... before) {
  return open(team, reads, p, place_of(nullptr, t, 0), vocab, before...);
}
template <class T, class... Open>
LOSSC_FN Rows<T> open_shared(const Team<kLanes>&, const PerRow<Mask>& reads, const T* p, index vocab, const Open&...) {
  return {p, vocab, Mask{}, bits_of(reads.v)};
}
struct ManyEntryNumbers {
  index count;
  unsigned visited;
  LOSSC_FN bool visits(int r) const { return visited >> r & 1u; }
  LOSSC_FN EntryNumbers row(int) const { return {count}; }
};
template <class... Open> LOSSC_FN ManyEntryNumbers open_indices(const Team<kLanes>&, const PerRow<Mask>& reads, index vocab, const Open&...) {
  return {vocab, bits_of(reads.v)};
}
// Rows of f(entry), as Derived is for one row.
template <class T, class F>
struct DerivedRows {
  Rows<T> rows;
  F f;
  T* out;
  Mask places;
  LOSSC_FN bool visits(int r) const { return rows.visits(r); }
  LOSSC_FN auto of_row(int r) const { return [f = f, r](Packet z) LOSSC_INLINE { return f(entries_of(r, z)).v; }; }
  LOSSC_FN auto row(int r) const { return cache_exp(out, index(places[r]), rows.row(r), of_row(r)); }
};
template <class F>
struct KeptRows : DerivedRows<float, F> {
  LOSSC_FN auto row(int r) const { return cached_exp(this->out, index(this->places[r]), this->rows.row(r), this->of_row(r)); }
};
template <class T, class F> LOSSC_FN DerivedRows<T, F> cache_exp(T* out, const Places& place, const Rows<T>& rows, const F& f) {
  return {rows, f, out, place.at};
}
template <class T, class F> LOSSC_FN DerivedRows<T, F> cached_exp(T* out, const Places& place, const Rows<T>& rows, const F& f) {
  return {rows, f, out, place.at};
}
template <class F> LOSSC_FN KeptRows<F> cached_exp(float* out, const Places& place, const Rows<float>& rows, const F& f) {
  return {{rows, f, out, place.at}};
}
LOSSC_OF_ROWS(is_absent)
template <class T> LOSSC_FN auto absent(const Rows<T>&, const PerRow<Packet>& z) { return z == -LOSSC_INFINITY; }
template <class F> LOSSC_FN auto absent(const KeptRows<F>&, const PerRow<Packet>& e) { return is_absent(e); }

// Built in registers: a packet that was stored lane by lane is slow to load.
template <class Rows, int... I> LOSSC_FN Packet gathered(const Rows& rows, Mask i, Indices<I...>) {
  return Packet{(rows.visits(I) ? at(rows.row(I), index(i[I])) : 0.0f)...};
}
template <class Rows> LOSSC_FN PerRow<Packet> at(const Rows& rows, const PerRow<Mask>& i) { return {gathered(rows, i.v, lanes_of(Packet()))}; }

// One packet of two: runs of STEP lanes are merged with the next run, and the results of x and y alternate. Every row's tree is the same.
template <class F, int STEP, class V, int... I> LOSSC_FN V fold_pair(V x, V y, Indices<I...>) {
  constexpr int kOther = sizeof...(I) - STEP;
  return F::merge(shuffled(x, y, Indices<(I / STEP % 2 * kOther + I)...>()), shuffled(x, y, Indices<(I / STEP % 2 * kOther + I + STEP)...>()));
}
template <class F, int STEP, int N, class V> LOSSC_FN V fold_tree(V* v) {
  if constexpr (N == 1) {
    return v[0];
  } else {
    for (int i = 0; i < N / 2; ++i) v[i] = fold_pair<F, STEP>(v[2 * i], v[2 * i + 1], lanes_of(v[i]));
    return fold_tree<F, 2 * STEP, N / 2>(v);
  }
}
// The fold of each row's packet as one lane; sums are float64, as those of a single row are.
template <class F> LOSSC_FN Packet fold_rows(const Packet (&of)[kLanes]) {
  if constexpr (F::kOrdered) {
    Doubles folded[2][kLanes / 2];
    for (int i = 0; i < kLanes; ++i) folded[i / (kLanes / 2)][i % (kLanes / 2)] = folded_halves<F>(of[i]);
    return joined(fold_tree<F, 1, kLanes / 2>(folded[0]), fold_tree<F, 1, kLanes / 2>(folded[1]));
  } else {
    Packet p[kLanes];
    for (int i = 0; i < kLanes; ++i) p[i] = of[i];
    return fold_tree<F, 1, kLanes>(p);
  }
}

template <int N> LOSSC_FN Values<N, Packet> packets_of(const Values<N, Entries<Packet>>& v) {
  Values<N, Packet> r;
  for (int k = 0; k < N; ++k) r.v[k] = v.v[k].v;
  return r;
}

template <class... F, class Map, class First, class... Others>
LOSSC_FN auto fold(const Team<kLanes>&, const Map& map, const First& first, const Others&... others) {
  using All = Folds<F...>;
  Packet acc[All::N][kLanes];
  for (int r = 0; r < kLanes; ++r) {
    auto row = All::template identity<Packet>();
    if (first.visits(r))
      row = fold_packets<All>([&](auto... z) LOSSC_INLINE { return packets_of(map(entries_of(r, z)...)); }, first.row(r), others.row(r)...);
    for (int k = 0; k < All::N; ++k) acc[k][r] = row.v[k];
  }
  Values<All::N, PerRow<Packet>> folded;
  int k = 0;
  ((folded.v[k] = per_row(fold_rows<F>(acc[k])), ++k), ...);
  return folded;
}

template <class C, class T>
LOSSC_FN PerRow<Packet> scaled_max(const Team<kLanes>& team, const Values<1, PerRow<Packet>>& top, const C& c, const Rows<T>& rows) {
  const Mask grows = broadcast(lanes(c) > 0.0f);
  const Packet scaled = top.v[0].v * broadcast(lanes(c));
  if (!any(~grows)) return {scaled};
  return {select(grows, scaled, fold<Max>(team, [&](auto z) { return values(z * c); }, rows).v[0].v)};
}

template <class T> LOSSC_FN void fill_row(const Team<kLanes>&, T* out, const Places& place, index vocab, float v) {
  for (int r = 0; r < place.count; ++r) fill_row(Team<1>{}, out, place.at[r], vocab, v);
}

template <class T, class Map, class Mend, class Leaf, class... Others>
LOSSC_FN void store_gradient(const Team<kLanes>&, T* out, const Places& place, const Tokens& t, index vocab, const PerRow<Mask>& named,
                             unsigned* status, const PerRow<Mask>& zero, const Map& map, const Mend& mend, const Leaf& leaf,
                             const Others&... others) {
  const auto z = at(leaf, named);
  const auto mended = select(absent(leaf, z), 0.0f, mend(z, at(others, named)...));
  for (int r = 0; r < t.count; ++r) {
    const index at = place.at[r];
    if (in_row(r, zero)) {
      fill_row(Team<1>{}, out, at, vocab, 0.0f);
      continue;
    }
    const bool finite = store_packets(out + at * vocab, index(in_row(r, named)), in_row(r, mended),
                                            [&](auto... z) LOSSC_INLINE { return map(entries_of(r, z)...).v; }, leaf.row(r), others.row(r)...);
    if (!finite) flag(status, kTokenFault, t.first + r);
  }
}

template <class T, class Map, class Mend, class F>
LOSSC_FN void store_gradient(const Team<kLanes>& team, T* out, const Places& place, const Tokens& t, index vocab, const PerRow<Mask>& named,
                             unsigned* status, const PerRow<Mask>& zero, const Map& map, const Mend& mend, const DerivedRows<T, F>& from) {
  store_gradient(team, out, place, t, vocab, named, status, zero, [&](auto z) LOSSC_INLINE { return map(from.f(z)); },
                 [&](auto z) LOSSC_INLINE { return mend(from.f(z)); }, from.rows);
}

template <class X> LOSSC_FN void put(const Team<kLanes>&, float* p, const Tokens& t, const X& x) {
  if (t.count == kLanes) narrow_packet(broadcast(lanes(x)), p + t.first);
  else narrow_edge(broadcast(lanes(x)), p + t.first, t.count);
}

}  // namespace lossc
