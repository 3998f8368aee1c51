// Stores of a team: the gradient, over its rows or beside them, and values per token.
#pragma once

#include "folds.h"

namespace lossc {

// A packet of entries as the words that are stored: two halves are rounded by one instruction.
template <class T, int W> LOSSC_FN auto narrowed(const float (&x)[W]) {
  Values<W * sizeof(T) / 4, unsigned> words;
  for (int i = 0; i < int(W * sizeof(T) / 4); ++i) {
    if constexpr (sizeof(T) == 4) words.v[i] = as_bits(x[i]);
    else words.v[i] = narrow_two(x[2 * i], x[2 * i + 1], T());
  }
  return words;
}

// A mask for the words of a packet of the leaf: all bits of an entry that is there, no bits of one that is -inf.
template <class T, int W> LOSSC_FN auto there(const Packet<T, W>& leaf) {
  auto words = __builtin_bit_cast(Values<W * sizeof(T) / 4, unsigned>, leaf);
  for (unsigned& word : words.v) {
    if constexpr (sizeof(T) == 4) word = as_float(word) != -LOSSC_INFINITY ? ~0u : 0u;
    else word = there_two(word, T());
  }
  return words;
}

LOSSC_FN bool spoilt(unsigned poison) { return (poison & 0x7fff7fffu) != 0; }

// Checks again the values that the lane has stored.
template <class Team, class T, class Row> LOSSC_FN unsigned look_again(const Team& team, const Row& row, const T* out) {
  unsigned poison = 0;
  each_packet<1>(team, row, [&](int e, int) {
    LOSSC_UNROLL(1)
    for (int i = 0; i < Row::kWidth; ++i)
      if (row.holds(e + i)) poison = look<T>(word_of(read(out, e + i)), poison);
  });
  return poison;
}

// Stores map(entry, …) for every entry of the rows and mend(entry, …) for the named one; 0 where the first row, the leaf, is -inf. A lane reads no
// entry but those that it writes, and each before its write, so that the row may be written over. False where this lane stored a value that is not
// finite.
template <class Team, class T, class Map, class Mend, class First, class... Others>
LOSSC_FN bool store_row(const Team& team, T* out, index place, index vocab, index named, const Map& map, const Mend& mend, const First& row,
                        const Others&... others) {
  constexpr int W = First::kWidth;
  T* const to = out + place * vocab;
  unsigned poison = 0;
  const auto one = [](const auto& entry, float z, auto... others) { return z == -LOSSC_INFINITY ? 0.0f : entry(z, others...); };
  const auto store_one = [&](int e, float g) {
    T x;
    narrow(g, x);
    write(to, e, x);
    poison = look<T>(word_of(x), poison);
  };
  if (Team::kResident) team.self.copies_done();
  // The lane that stores the named entry computes it now, since the row may be written over, and stores it last.
  const int hot = int(named);
  const bool mends = row.holds(hot) && int(unsigned(hot - row.base()) / W % Team::kPart) == team.lane();
  float mended = 0.0f;
  if (mends) mended = one(mend, load(row.first, hot), at(others, hot)...);
  each_whole<1>(team, row, to, [&](T* here, int k) {
    float g[W];
    const auto take = [&](const auto&... entries) {
      for (int i = 0; i < W; ++i) g[i] = map(entries.v[i]...);
    };
    const int e = int(here - to);
    const auto leaf = packet(team, row, e, k);
    take(widened(leaf), widened(packet(team, others, e, k))...);
    auto words = narrowed<T>(g);
    const auto masks = there(leaf);
    for (int i = 0; i < int(sizeof(words) / 4); ++i) words.v[i] &= masks.v[i];
    write_as_packet(here, 0, words);
    for (const unsigned word : words.v) poison = look<T>(word, poison);
  });
  each_cut(team, row, [&](int e, int k) {
    LOSSC_UNROLL(1)
    for (int i = 0; i < W; ++i)
      if (row.holds(e + i)) store_one(e + i, one(map, entry(team, row, e, k, i), entry(team, others, e, k, i)...));
  });
  if (mends) {
    store_one(hot, mended);
    // The value that it replaces may have been the one that was not finite.
    if (spoilt(poison)) poison = look_again(team, row, to);
  }
  return !spoilt(poison);
}

// A row of f(entry): lanes compute f wherever it is used, from the entries that they hold.
template <class Row, class F> struct Derived { Row row; F f; };
template <class T, class Row, class F> LOSSC_FN Derived<Row, F> cache_exp(T*, index, const Row& row, const F& f) { return {row, f}; }
template <class T, class Row, class F> LOSSC_FN Derived<Row, F> cached_exp(T*, index, const Row& row, const F& f) { return {row, f}; }
template <class... Folded, class Team, class Map, class Row, class F>
LOSSC_FN auto fold_part(const Team& team, const Map& map, const Derived<Row, F>& from) {
  return fold_part<Folded...>(team, [&](auto z) { return map(from.f(z)); }, from.row);
}
template <class Team, class T, class Map, class Mend, class Row, class F>
LOSSC_FN bool store_row(const Team& team, T* out, index place, index vocab, index named, const Map& map, const Mend& mend, const Derived<Row, F>& from) {
  return store_row(team, out, place, vocab, named, [&](auto z) { return map(from.f(z)); }, [&](auto z) { return mend(from.f(z)); }, from.row);
}

template <class Team, class T> LOSSC_FN void fill_row(const Team& team, T* out, index place, index vocab, float v) {
  if (place < 0) return;
  const auto row = run_of<Team, kPacket<T>, true>(team, out, place, vocab);
  if (Team::kResident) team.self.copies_done();  // copies may still read what is written over
  Packet<T, kPacket<T>> full;
  for (int i = 0; i < kPacket<T>; ++i) narrow(v, full.v[i]);
  T* const to = out + place * vocab;
  each_whole<1>(team, row, to, [&](T* here, int) { write_as_packet(here, 0, full); });
  each_cut(team, row, [&](int e, int) {
    LOSSC_UNROLL(1)
    for (int i = 0; i < kPacket<T>; ++i)
      if (row.holds(e + i)) write(to, e + i, full.v[0]);
  });
}

// Stores a value per token that the whole team holds.
template <class Team, class T> LOSSC_FN void put(const Team& team, T* p, index i, float v) {
  if (team.leads()) store(p, i, v);
}
template <class Team> LOSSC_FN void put(const Team& team, double* p, index i, double v) {
  if (team.leads()) store(p, i, v);
}

}  // namespace lossc
