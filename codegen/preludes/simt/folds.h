// Folds of a team's rows.
#pragma once

#include "../common/constants.h"
#include "rows.h"

namespace lossc {

// Terms of a sum: a number, or a number or product that counts where a condition holds and costs nothing where it does not.
struct Only { bool holds; float v; };
struct Product { bool holds; float a, b; };
LOSSC_FN Only only_where(bool holds, float v) { return {holds, v}; }
LOSSC_FN Product product_where(bool holds, float a, float b) { return {holds, a, b}; }
LOSSC_FN float plus(float sum, float v) { return sum + v; }
LOSSC_FN float plus(float sum, Only x) { return x.holds ? sum + x.v : sum; }

LOSSC_FN float plus_product(float sum, bool holds, float a, float b) { return holds ? fma_(a, b, sum) : sum; }
LOSSC_FN float plus(float sum, Product x) { return plus_product(sum, x.holds, x.a, x.b); }

template <class... T> struct Summands;
template <class T> struct Summands<T> { T first; };
template <class T, class... Rest> struct Summands<T, Rest...> { T first; Summands<Rest...> rest; };
template <class T> LOSSC_FN Summands<T> summands(T v) { return {v}; }
template <class T, class... Rest> LOSSC_FN Summands<T, Rest...> summands(T first, Rest... rest) { return {first, summands(rest...)}; }

// Folds the values of one more entry into the values so far.
template <class All> LOSSC_FN void fold_in(Values<All::N, float>& acc, const Values<All::N, float>& entry) { acc = All::merge(acc, entry); }
template <class All, int K = 0, class... T> LOSSC_FN void fold_in(Values<All::N, float>& acc, const Summands<T...>& entry) {
  acc.v[K] = plus(acc.v[K], entry.first);
  if constexpr (sizeof...(T) > 1) fold_in<All, K + 1>(acc, entry.rest);
}

// Folds the places of a packet, each of which a lane has folded by itself. The lane that visits an entry depends on the row's place in memory. With
// the first places taken from the next lane, the same entries meet wherever the row lies: in another order, but in the same pairs, and so with the
// same bits.
template <class Team, class All, int W>
LOSSC_FN Values<All::N, float> fold_places(const Team& team, Values<All::N, float> (&acc)[W], int skew) {
  if (All::kOrdered && skew != 0) {
    const int next = team.partHere() * Team::kPart + int(unsigned(team.lane() + 1) % Team::kPart);
    for (int k = 0; k < All::N; ++k)
      for (int i = 0; i < W - 1; ++i) {
        const float other = as_float(team.self.template shuffle<Team::kPart>(as_bits(acc[i].v[k]), int(unsigned(next) % kWarp)));
        if (i < skew) acc[i].v[k] = other;
      }
  }
  // Pair by pair: fewer roundings in a row.
  for (int half = W / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) acc[i] = All::merge(acc[i], acc[i + half]);
  return acc[0];
}

template <class T, int W> LOSSC_FN void rotate(T (&v)[W]) {
  const T first = v[0];
  for (int i = 1; i < W; ++i) v[i - 1] = v[i];
  v[W - 1] = first;
}

// Folds map(entry, …) over this part's run of rows that are read together; every lane of the part gets the result.
template <class... F, class Team, class Map, class First, class... Others>
LOSSC_FN auto fold_part(const Team& team, const Map& map, const First& row, const Others&... others) {
  using All = Folds<F...>;
  constexpr int W = First::kWidth;
  constexpr bool kPadded = First::kIsLeaf && sizeof...(Others) == 0;
  if (Team::kResident) team.self.copies_done();
  Values<All::N, float> acc[W];
  for (int i = 0; i < W; ++i) acc[i] = All::template identity<float>();
  each_packet<kPadded ? 2 : 1>(team, row, [&](int e, int k) {
    const auto take = [&](auto... entries) {
      if (kPadded || (row.holds(e) && row.holds(e + W - 1))) {
        for (int i = 0; i < W; ++i) fold_in<All>(acc[i], map(entries.v[i]...));
      } else if constexpr (!kPadded) {
        // Rare, and so kept small: every place in turn is the first.
        LOSSC_UNROLL(1)
        for (int i = 0; i < W; ++i) {
          if (row.holds(e + i)) fold_in<All>(acc[0], map(entries.v[0]...));
          rotate(acc);
          (rotate(entries.v), ...);
        }
      }
    };
    take(widened(packet(team, row, e, k)), widened(packet(team, others, e, k))...);
  });
  const auto mine = fold_places<Team, All, W>(team, acc, row.skew);
  // Sums are folded in float64; maxima and minima are not rounded and stay in float32.
  if constexpr (All::kOrdered) return fold_lanes<All, Team::kPart>(team.self, converted<double>(mine));
  else return converted<double>(fold_lanes<All, Team::kPart>(team.self, mine));
}

// The largest of a row of halves, compared two at a time as they are stored, 8 to a packet.
template <class Team, class T, bool LEAF> LOSSC_FN Values<1, double> largest_half(const Team& team, const Row<T, 8, LEAF>& row) {
  if (Team::kResident) team.self.copies_done();
  T least;
  narrow(-LOSSC_INFINITY, least);
  unsigned acc[4];
  for (unsigned& word : acc) word = word_of(least) | word_of(least) << 16;
  each_packet<4>(team, row, [&](int e, int k) {
    const auto words = __builtin_bit_cast(Values<4, unsigned>, packet(team, row, e, k));
    for (int i = 0; i < 4; ++i) acc[i] = max_two(acc[i], words.v[i], T());
  });
  for (int i = 1; i < 4; ++i) acc[0] = max_two(acc[0], acc[i], T());
  const auto two = __builtin_bit_cast(Packet<T, 2>, acc[0]);
  return converted<double>(fold_lanes<Folds<Max>, Team::kPart>(team.self, values(max_(widen(two.v[0]), widen(two.v[1])))));
}

// Folds the entries themselves. F is Max: no other fold is called so.
template <class F, class Team, class T, int W, bool LEAF> LOSSC_FN Values<1, double> fold_part(const Team& team, const Row<T, W, LEAF>& row) {
  if constexpr (sizeof(T) == 2 && W == 8) return largest_half(team, row);
  else return fold_part<F>(team, [](auto z) { return values(z); }, row);
}

// The maximum of c · entry, where `top` is the maximum of the entries. A product with c > 0 is monotone, also when rounded.
template <class Team, class Row> LOSSC_FN double scaled_max(const Team& team, const Values<1, double>& top, float c, const Row& row) {
  if (c > 0.0f) return double(float(top.v[0]) * c);
  // Rows that are read together are not padded.
  return fold_part<Max>(team, [&](auto z, auto) { return values(z * c); }, row, row).v[0];
}

// The base of a part's exponents: its maximum, or 0 where the part has no entry though other parts may have some.
template <class Team> LOSSC_FN float base_(const Team&, double maximum) {
  return Team::kParts > 1 && maximum == -double(LOSSC_INFINITY) ? 0.0f : float(maximum);
}

// Folds map(entry, …) over the whole row.
template <class... F, class Team, class Map, class... Rows>
LOSSC_FN auto fold(const Team& team, const Map& map, const Rows&... rows) {
  using All = Folds<F...>;
  auto folded = fold_part<F...>(team, map, rows...);
  if constexpr (Team::kParts > 1) {
    const auto* const all = team.exchange(folded);
    folded = All::template identity<double>();
    for (int i = team.lane(); i < Team::kParts; i += Team::kPart) folded = All::merge(folded, read(all, i));
    folded = fold_lanes<All, Team::kPart>(team.self, folded);
  }
  return converted<float>(folded);
}

// The maxima of the whole row, and the sums that every part has taken from its own maxima, brought to the row's: one exchange for both.
template <class... Rules, class Team, int N, int K>
LOSSC_FN Values<N + K, float> merge_partials(const Team& team, const Values<N, double>& maxima, const Values<K, double>& sums) {
  static_assert(sizeof...(Rules) == K);
  Values<N + K, float> result;
  if constexpr (Team::kParts == 1) {
    for (int i = 0; i < N; ++i) result.v[i] = float(maxima.v[i]);
    for (int i = 0; i < K; ++i) result.v[N + i] = float(sums.v[i]);
  } else {
    Values<N + K, double> mine;
    for (int i = 0; i < N; ++i) mine.v[i] = maxima.v[i];
    for (int i = 0; i < K; ++i) mine.v[N + i] = sums.v[i];
    const auto* const all = team.exchange(mine);
    // The values of all parts are shared out among the lanes.
    constexpr int kShare = (Team::kParts + Team::kPart - 1) / Team::kPart;
    decltype(mine) share[kShare];
    for (int j = 0; j < kShare; ++j) {
      const int p = j * Team::kPart + team.lane();
      for (int i = 0; i < N + K; ++i) share[j].v[i] = i < N ? -double(LOSSC_INFINITY) : 0.0;
      if (p < Team::kParts) share[j] = read(all, p);
    }
    Values<N, float> whole;
    for (int i = 0; i < N; ++i) {
      whole.v[i] = float(share[0].v[i]);
      for (int j = 1; j < kShare; ++j) whole.v[i] = max_(whole.v[i], float(share[j].v[i]));
    }
    whole = fold_lanes<AllOf<N, Max>, Team::kPart>(team.self, whole);
    Values<K, double> total;
    for (int i = 0; i < K; ++i) total.v[i] = 0.0;
    for (const auto& other : share) {
      const auto by = [&](int max) { return double(between_(base_(team, other.v[max]), whole.v[max])); };
      constexpr int kMax[] = {Rules::kMax...}, kSum[] = {Rules::kSum...};
      const double shifts[] = {Rules::shift(by)...};
      for (int i = 0; i < K; ++i) {
        double s = other.v[N + i];
        if (kSum[i] >= 0) s += shifts[i] * other.v[N + (kSum[i] >= 0 ? kSum[i] : 0)];
        total.v[i] += s * double(exp2_(between_(float(other.v[kMax[i]]), whole.v[kMax[i]])));
      }
    }
    total = fold_lanes<AllOf<K, Sum>, Team::kPart>(team.self, total);
    for (int i = 0; i < N; ++i) result.v[i] = whole.v[i];
    for (int i = 0; i < K; ++i) result.v[N + i] = float(total.v[i]);
  }
  return result;
}

}  // namespace lossc
