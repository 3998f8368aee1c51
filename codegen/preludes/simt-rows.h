// Rows of a team, in packets that are aligned to the global element index: opened, folded, stored.

template <class T> constexpr int kPacket = 16 / sizeof(T);
template <class T, int W> struct alignas(W * sizeof(T) < 16 ? W * sizeof(T) : 16) Packet { T v[W]; };

// A part's run of a row's entries, in packets of W. Entries are counted by int, which takes half the registers of an index.
template <class T, int W, bool LOGITS>
struct Row {
  static constexpr int kWidth = W;
  static constexpr bool kLogits = LOGITS;  // entries beyond the run read as -inf, which no fold sees
  const T* first;  // entry 0 of the row
  int begin, end;  // the part's run
  int skew;        // entries of the run's first packet that come before it
  int rounds;      // packets of a lane, at most
  Packet<T, W>* kept;
  bool torn = false;  // a row beside the logits whose packets, cut where those of the logits are, lie across boundaries in memory

  // Whether some packets of the run are not whole. Runs begin at a packet's first entry, but for the skew.
  LOSSC_FN bool cut() const { return skew != 0 || end % W != 0 || torn; }
  LOSSC_FN bool whole(int e) const { return e >= begin && e + W <= end && (LOGITS || !torn); }
  LOSSC_FN bool holds(int e) const { return e >= begin && e < end; }
  LOSSC_FN T entry(int e) const {
    T x;
    narrow(LOGITS ? -LOSSC_INFINITY : 0.0f, x);
    return holds(e) ? read(first, e) : x;
  }
  LOSSC_FN Packet<T, W> gather(int e) const {
    Packet<T, W> p;
    for (int i = 0; i < W; ++i) p.v[i] = entry(e + i);
    return p;
  }
};
template <class T, int W, bool LOGITS> LOSSC_FN float at(const Row<T, W, LOGITS>& row, index i) { return load(row.first, i); }

template <class Team, int W, bool LOGITS, class T>
LOSSC_FN auto run_of(const Team& team, const T* p, index place, index vocab) {
  const int count = int(vocab), share = ((count + Team::kParts - 1) / Team::kParts + W - 1) / W * W;
  Row<T, W, LOGITS> row;
  row.first = p + place * vocab;
  row.begin = share * team.part() < count ? share * team.part() : count;
  row.end = row.begin + share < count ? row.begin + share : count;
  row.skew = int(place * vocab % W);
  row.rounds = (share + (count % W ? W : 0) + Team::kPart * W - 1) / (Team::kPart * W);
  return row;
}

// Calls visit(first entry, number) for a lane's packets.
template <class Team, class Row, class Visit> LOSSC_FN void each_packet(const Team& team, const Row& row, const Visit& visit) {
  constexpr int W = Row::kWidth;
  int e = row.begin - row.skew + team.lane() * W;
  LOSSC_UNROLL(1)
  for (int k = 0; e < row.end; ++k, e += Team::kPart * W) visit(e, k);
}

// A packet that stays in shared memory lies beside those that the other lanes read at the same time.
template <class Team, class T, int W, bool LOGITS>
LOSSC_FN Packet<T, W>* kept_at(const Team& team, const Row<T, W, LOGITS>& row, int k) {
  return row.kept + (team.self.thread() / Team::kPart * row.rounds + k) * Team::kPart + team.lane();
}

template <class First, class... Others> LOSSC_FN const First& first_of(const First& first, const Others&...) { return first; }

// Opens a row; the logits first, the others with those that are open already. What is read of it is on its way from here on.
template <class Team, class T, class... Open>
LOSSC_FN auto open(const Team& team, bool reads, const T* p, index place, index vocab, const Open&... before) {
  constexpr int W = [] {
    int widths[] = {Open::kWidth..., kPacket<T>};
    return widths[0];
  }();
  auto row = run_of<Team, W, sizeof...(Open) == 0>(team, p, place, vocab);
  if constexpr (sizeof...(Open) > 0) {
    const int skew = first_of(before...).skew;
    row.torn = row.skew != skew;
    row.skew = skew;
  }
  const int lanes = Team::kPartsHere * row.rounds * Team::kPart;
  row.kept = reinterpret_cast<Packet<T, W>*>(team.rows() + (0 + ... + (lanes * int(sizeof(*before.kept)))));
  if (Team::kResident && reads) {
    constexpr int kPiece = sizeof(Packet<T, W>) < 16 ? sizeof(Packet<T, W>) : 16;
    each_packet(team, row, [&](int e, int k) {
      if (!row.whole(e)) return;
      for (int piece = 0; piece < int(sizeof(Packet<T, W>)); piece += kPiece)
        team.self.template copy<kPiece>(reinterpret_cast<unsigned char*>(kept_at(team, row, k)) + piece,
                                        reinterpret_cast<const unsigned char*>(row.first + e) + piece);
    });
    // Entry by entry comes last, so that nothing waits for it.
    if (row.cut())
      each_packet(team, row, [&](int e, int k) {
        if (row.whole(e)) return;
        if constexpr (sizeof...(Open) > 0) {
          write(kept_at(team, row, k), 0, row.gather(e));  // they may be all that there is
        } else {
          LOSSC_UNROLL(1)
          for (int i = 0; i < W; ++i) write(kept_at(team, row, k)->v, i, row.entry(e + i));
        }
      });
  }
  return row;
}

template <class Team, class T, int W, bool LOGITS>
LOSSC_FN Packet<T, W> packet(const Team& team, const Row<T, W, LOGITS>& row, int e, int k) {
  if (Team::kResident) return read(kept_at(team, row, k), 0);
  return row.whole(e) ? read_as_packet<Packet<T, W>>(row.first, e) : row.gather(e);
}

// The sum over the packet's places of what lanes have folded place by place. Which lane an entry falls to depends on where its row lies in memory. With the
// first places taken from the next lane, the same entries come together wherever it lies; their order is another, but each pair is the same, and so the bits.
template <class Team, class All, int W>
LOSSC_FN Values<All::N, float> fold_places(const Team& team, Values<All::N, float> (&acc)[W], int skew) {
  if (All::kOrdered && skew != 0) {
    const int next = team.self.thread() / Team::kPart * Team::kPart + (team.lane() + 1) % Team::kPart;
    for (int k = 0; k < All::N; ++k)
      for (int i = 0; i < W - 1; ++i) {
        const float other = as_float(team.self.template shuffle<Team::kPart>(as_bits(acc[i].v[k]), next % 32));
        if (i < skew) acc[i].v[k] = other;
      }
  }
  // Pair by pair: fewer roundings in a row.
  for (int half = W / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) acc[i] = All::merge(acc[i], acc[i + half]);
  return acc[0];
}

// Folds map(entry, …) over this part's run of rows that are read together; every lane of the part gets the result.
template <class... F, class Team, class Map, class First, class... Others>
LOSSC_FN auto fold_part(const Team& team, const Map& map, const First& row, const Others&... others) {
  using All = Folds<F...>;
  constexpr int W = First::kWidth;
  constexpr bool kPadded = First::kLogits && sizeof...(Others) == 0;
  if (Team::kResident) team.self.copies_done();
  Values<All::N, float> acc[W];
  for (int i = 0; i < W; ++i) acc[i] = All::template identity<float>();
  each_packet(team, row, [&](int e, int k) {
    const auto take = [&](const auto&... packets) {
      unsigned inside = kNone;
      if (!kPadded && !row.whole(e)) {
        inside = 0;
        for (int i = 0; i < W; ++i) inside |= unsigned(row.holds(e + i)) << i;
      }
      for (int i = 0; i < W; ++i)
        if (kPadded || (inside >> i & 1u)) acc[i] = All::merge(acc[i], map(widen(packets.v[i])...));
    };
    take(packet(team, row, e, k), packet(team, others, e, k)...);
  });
  const auto mine = fold_places<Team, All, W>(team, acc, row.skew);
  // Sums come together in float64; what no rounding touches need not.
  if constexpr (All::kOrdered) return fold_lanes<All, Team::kPart>(team.self, converted<double>(mine));
  else return converted<double>(fold_lanes<All, Team::kPart>(team.self, mine));
}

// What a part's exponents are taken from: its maximum, or 0 where it has no entry though other parts may have some.
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

// The maxima of the whole row, and sums that every part has taken from its own maxima, brought to these: one exchange for both.
template <class... Rules, class Team, int N, int K>
LOSSC_FN Values<N + K, float> meet(const Team& team, const Values<N, double>& maxima, const Values<K, double>& sums) {
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
    Values<N, float> whole;
    for (int i = 0; i < N; ++i) whole.v[i] = -LOSSC_INFINITY;
    for (int p = team.lane(); p < Team::kParts; p += Team::kPart) {
      const auto other = read(all, p);
      for (int i = 0; i < N; ++i) whole.v[i] = max_(whole.v[i], float(other.v[i]));
    }
    whole = fold_lanes<AllOf<N, Max>, Team::kPart>(team.self, whole);
    Values<K, double> total;
    for (int i = 0; i < K; ++i) total.v[i] = 0.0;
    for (int p = team.lane(); p < Team::kParts; p += Team::kPart) {
      const auto other = read(all, p);
      constexpr int kMax[] = {Rules::kMax...}, kOther[] = {Rules::kOther...}, kSum[] = {Rules::kSum...};
      for (int i = 0; i < K; ++i) {
        double s = other.v[N + i];
        if (kSum[i] >= 0) s += (double(base_(team, other.v[kOther[i]])) - double(whole.v[kOther[i]])) * other.v[N + (kSum[i] >= 0 ? kSum[i] : 0)];
        total.v[i] += s * double(rebase_(float(other.v[kMax[i]]), whole.v[kMax[i]]));
      }
    }
    total = fold_lanes<AllOf<K, Sum>, Team::kPart>(team.self, total);
    for (int i = 0; i < N; ++i) result.v[i] = whole.v[i];
    for (int i = 0; i < K; ++i) result.v[N + i] = float(total.v[i]);
  }
  return result;
}

// A packet of entries in the words that are stored: two halves are rounded by one instruction.
template <class T, int W> LOSSC_FN auto narrowed(const float (&x)[W]) {
  Values<W * sizeof(T) / 4, unsigned> words;
  for (int i = 0; i < int(W * sizeof(T) / 4); ++i) {
    if constexpr (sizeof(T) == 4) words.v[i] = as_bits(x[i]);
    else words.v[i] = narrow_two(x[2 * i], x[2 * i + 1], T());
  }
  return words;
}

// Stores map(entry, …) for every entry of the rows and mend(entry, …) for the target's; where the first row, the logits, is -inf, 0. A lane reads what it
// writes before it writes it, and nothing else, so that the row may be written over. False where this lane stored something that is not finite.
template <class Team, class T, class Map, class Mend, class First, class... Others>
LOSSC_FN bool store_row(const Team& team, T* out, index place, index vocab, index target, const Map& map, const Mend& mend, const First& row,
                        const Others&... others) {
  constexpr int W = First::kWidth;
  T* const to = out + place * vocab;
  const int hot = int(target);
  unsigned poison = 0;
  if (Team::kResident) team.self.copies_done();
  each_packet(team, row, [&](int e, int k) {
    float g[W];
    const auto take = [&](const auto& logits, const auto&... rest) {
      const auto one = [](const auto& entry, float z, auto... others) { return z == -LOSSC_INFINITY ? 0.0f : entry(z, others...); };
      for (int i = 0; i < W; ++i) g[i] = one(map, widen(logits.v[i]), widen(rest.v[i])...);
      if (hot >= e && hot < e + W) {
        const auto at_hot = [&](const auto& packet) {
          auto x = packet.v[0];
          for (int i = 1; i < W; ++i)
            if (e + i == hot) x = packet.v[i];
          return widen(x);
        };
        const float mended = one(mend, at_hot(logits), at_hot(rest)...);
        for (int i = 0; i < W; ++i)
          if (e + i == hot) g[i] = mended;
      }
    };
    take(packet(team, row, e, k), packet(team, others, e, k)...);
    const bool whole = row.whole(e);
    if (!whole)
      for (int i = 0; i < W; ++i)
        if (!row.holds(e + i)) g[i] = 0.0f;
    const auto words = narrowed<T>(g);
    if (whole) {
      write_as_packet(to, e, words);
    } else {
      const auto entries = __builtin_bit_cast(Packet<T, W>, words);
      for (int i = 0; i < W; ++i)
        if (row.holds(e + i)) write(to, e + i, entries.v[i]);
    }
    for (const unsigned word : words.v) poison = look<T>(word, poison);
  });
  return (poison & 0x7fff7fffu) == 0;
}

// A row by what a function makes of its entries: lanes compute that again where it is asked for, from what they hold of the row.
template <class Row, class F> struct Derived { Row row; F f; };
template <class T, class Row, class F> LOSSC_FN Derived<Row, F> derive(T*, index, const Row& row, const F& f) { return {row, f}; }
template <class T, class Row, class F> LOSSC_FN Derived<Row, F> derived(T*, index, const Row& row, const F& f) { return {row, f}; }
template <class... Folded, class Team, class Map, class Row, class F>
LOSSC_FN auto fold_part(const Team& team, const Map& map, const Derived<Row, F>& from) {
  return fold_part<Folded...>(team, [&](auto z) { return map(from.f(z)); }, from.row);
}
template <class Team, class T, class Map, class Mend, class Row, class F>
LOSSC_FN bool store_row(const Team& team, T* out, index place, index vocab, index target, const Map& map, const Mend& mend, const Derived<Row, F>& from) {
  return store_row(team, out, place, vocab, target, [&](auto z) { return map(from.f(z)); }, [&](auto z) { return mend(from.f(z)); }, from.row);
}

template <class Team, class T> LOSSC_FN void fill_row(const Team& team, T* out, index place, index vocab, float v) {
  if (place < 0) return;
  const auto row = run_of<Team, kPacket<T>, true>(team, out, place, vocab);
  if (Team::kResident) team.self.copies_done();  // they may read what is written over
  Packet<T, kPacket<T>> full;
  for (int i = 0; i < kPacket<T>; ++i) narrow(v, full.v[i]);
  T* const to = out + place * vocab;
  each_packet(team, row, [&](int e, int) {
    if (row.whole(e)) {
      write_as_packet(to, e, full);
      return;
    }
    for (int i = 0; i < kPacket<T>; ++i)
      if (row.holds(e + i)) write(to, e + i, full.v[i]);
  });
}

// A value per token that the whole team holds.
template <class Team, class T> LOSSC_FN void put(const Team& team, T* p, index i, float v) {
  if (team.leads()) store(p, i, v);
}
template <class Team> LOSSC_FN void put(const Team& team, double* p, index i, double v) {
  if (team.leads()) store(p, i, v);
}
