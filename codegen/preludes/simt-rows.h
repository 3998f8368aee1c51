// Rows of a team, in packets that are aligned to the global element index: opened, folded, stored.

LOSSC_FN unsigned min_of(unsigned a, unsigned b) { return a < b ? a : b; }

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
  int packets;     // this lane's
  Packet<T, W>* kept;  // the lane's first; a packet lies beside those that the other lanes read at the same time
  bool torn = false;  // a row beside the logits whose packets, cut where those of the logits are, lie across boundaries in memory

  // The first entry of the run's first packet.
  LOSSC_FN int base() const { return begin - skew; }
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
  // Unsigned: what is divided by a power of two is shifted.
  constexpr unsigned kWidth = W, kStep = Team::kPart * W, kParts = Team::kParts;
  const unsigned count = unsigned(vocab), share = ((count + kParts - 1) / kParts + kWidth - 1) / kWidth * kWidth;
  Row<T, W, LOGITS> row;
  row.first = p + place * vocab;
  row.begin = int(min_of(share * unsigned(team.part()), count));
  row.end = int(min_of(unsigned(row.begin) + share, count));
  row.skew = int(unsigned(place * vocab) % kWidth);
  row.rounds = int((share + (count % kWidth ? kWidth : 0) + kStep - 1) / kStep);
  const int left = row.end - row.base() - team.lane() * W;
  row.packets = left > 0 ? int((unsigned(left) + kStep - 1) / kStep) : 0;
  return row;
}

// Calls visit(first entry, number) for each of a lane's packets.
template <int UNROLL, class Team, class Row, class Visit> LOSSC_FN void each_packet(const Team& team, const Row& row, const Visit& visit) {
  constexpr int W = Row::kWidth, kStep = Team::kPart * W;
  int k = 0, e = row.base() + team.lane() * W;
  if constexpr (UNROLL > 1) {
    LOSSC_UNROLL(1)
    for (; k + UNROLL <= row.packets; k += UNROLL, e += UNROLL * kStep)
      for (int i = 0; i < UNROLL; ++i) visit(e + i * kStep, k + i);
  }
  LOSSC_UNROLL(1)
  for (; k < row.packets; ++k, e += kStep) visit(e, k);
}
// The same for those that lie in the run as a whole. They are visited with their place in `p`: a pointer that goes along costs less than one made anew.
template <int UNROLL, class Team, class Row, class T, class Visit> LOSSC_FN void each_whole(const Team& team, const Row& row, T* p, const Visit& visit) {
  constexpr int W = Row::kWidth, kStep = Team::kPart * W;
  int k = row.skew != 0 && team.lane() == 0;
  int left = row.end - row.base() - (k * Team::kPart + team.lane() + 1) * W;
  p += row.base() + (k * Team::kPart + team.lane()) * W;
  if constexpr (UNROLL > 1) {
    LOSSC_UNROLL(1)
    for (; left >= (UNROLL - 1) * kStep; left -= UNROLL * kStep, k += UNROLL, p += UNROLL * kStep)
      for (int i = 0; i < UNROLL; ++i) visit(p + i * kStep, k + i);
  }
  LOSSC_UNROLL(1)
  for (; left >= 0; left -= kStep, ++k, p += kStep) visit(p, k);
}
// The same for the others: the run's first and last at most, or all of a torn row.
template <class Team, class Row, class Visit> LOSSC_FN void each_cut(const Team& team, const Row& row, const Visit& visit) {
  constexpr int W = Row::kWidth;
  const int last = (row.end - row.base()) / W;
  int p = row.torn || (row.skew != 0 && team.lane() == 0) ? team.lane() : last;
  LOSSC_UNROLL(1)
  while (row.base() + p * W < row.end) {
    if (int(unsigned(p) % Team::kPart) == team.lane()) visit(row.base() + p * W, int(unsigned(p) / Team::kPart));
    p = row.torn ? p + Team::kPart : p < last ? last : last + 1;
  }
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
    row.packets = first_of(before...).packets;
  }
  const int lanes = Team::kPartsHere * row.rounds * Team::kPart;
  row.kept = reinterpret_cast<Packet<T, W>*>(team.rows() + (0 + ... + (lanes * int(sizeof(*before.kept))))) +
             team.partHere() * row.rounds * Team::kPart + team.lane();
  if (Team::kResident && reads) {
    constexpr int kPiece = sizeof(Packet<T, W>) < 16 ? sizeof(Packet<T, W>) : 16;
    if (!row.torn)
      each_whole<4>(team, row, row.first, [&](const T* from, int k) {
        for (int piece = 0; piece < int(sizeof(Packet<T, W>)); piece += kPiece)
          team.self.template copy<kPiece>(reinterpret_cast<unsigned char*>(row.kept + k * Team::kPart) + piece,
                                          reinterpret_cast<const unsigned char*>(from) + piece);
      });
    // Entry by entry comes last, so that nothing waits for it.
    each_cut(team, row, [&](int e, int k) {
      if constexpr (sizeof...(Open) > 0) {
        write(row.kept + k * Team::kPart, 0, row.gather(e));  // they may be all that there is
      } else {
        LOSSC_UNROLL(1)
        for (int i = 0; i < W; ++i) write((row.kept + k * Team::kPart)->v, i, row.entry(e + i));
      }
    });
  }
  return row;
}

template <class Team, class T, int W, bool LOGITS>
LOSSC_FN Packet<T, W> packet(const Team&, const Row<T, W, LOGITS>& row, int e, int k) {
  if (Team::kResident) return read(row.kept, k * Team::kPart);
  return row.whole(e) ? read_as_packet<Packet<T, W>>(row.first, e) : row.gather(e);
}

LOSSC_FN unsigned word_of(float x) { return as_bits(x); }
template <class T> LOSSC_FN unsigned word_of(T x) { return x.bits; }

// One of its entries.
template <class Team, class T, int W, bool LOGITS>
LOSSC_FN float entry(const Team&, const Row<T, W, LOGITS>& row, int e, int k, int i) {
  return widen(Team::kResident ? read((row.kept + k * Team::kPart)->v, i) : row.entry(e + i));
}

// The entries of a packet, in float32.
template <class T, int W> LOSSC_FN Values<W, float> widened(const Packet<T, W>& p) {
  Values<W, float> r;
  for (int i = 0; i < W; ++i) r.v[i] = widen(p.v[i]);
  return r;
}
// Two halves come from one word by an instruction each.
template <int W> LOSSC_FN Values<W, float> widened(const Packet<bf16, W>& p) {
  const auto words = __builtin_bit_cast(Values<W / 2, unsigned>, p);
  Values<W, float> r;
  for (int i = 0; i < W / 2; ++i) {
    r.v[2 * i] = as_float(words.v[i] << 16);
    r.v[2 * i + 1] = as_float(words.v[i] & 0xffff0000u);
  }
  return r;
}

// The sum over the packet's places of what lanes have folded place by place. Which lane an entry falls to depends on where its row lies in memory. With the
// first places taken from the next lane, the same entries come together wherever it lies; their order is another, but each pair is the same, and so the bits.
template <class Team, class All, int W>
LOSSC_FN Values<All::N, float> fold_places(const Team& team, Values<All::N, float> (&acc)[W], int skew) {
  if (All::kOrdered && skew != 0) {
    const int next = team.partHere() * Team::kPart + int(unsigned(team.lane() + 1) % Team::kPart);
    for (int k = 0; k < All::N; ++k)
      for (int i = 0; i < W - 1; ++i) {
        const float other = as_float(team.self.template shuffle<Team::kPart>(as_bits(acc[i].v[k]), int(unsigned(next) % 32)));
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
  constexpr bool kPadded = First::kLogits && sizeof...(Others) == 0;
  if (Team::kResident) team.self.copies_done();
  Values<All::N, float> acc[W];
  for (int i = 0; i < W; ++i) acc[i] = All::template identity<float>();
  each_packet<kPadded ? 2 : 1>(team, row, [&](int e, int k) {
    const auto take = [&](auto... entries) {
      if (kPadded || (row.holds(e) && row.holds(e + W - 1))) {
        for (int i = 0; i < W; ++i) acc[i] = All::merge(acc[i], map(entries.v[i]...));
      } else if constexpr (!kPadded) {
        // What is rare is small: every place in turn is the first.
        LOSSC_UNROLL(1)
        for (int i = 0; i < W; ++i) {
          if (row.holds(e + i)) acc[0] = All::merge(acc[0], map(entries.v[0]...));
          rotate(acc);
          (rotate(entries.v), ...);
        }
      }
    };
    take(widened(packet(team, row, e, k)), widened(packet(team, others, e, k))...);
  });
  const auto mine = fold_places<Team, All, W>(team, acc, row.skew);
  // Sums come together in float64; what no rounding touches need not.
  if constexpr (All::kOrdered) return fold_lanes<All, Team::kPart>(team.self, converted<double>(mine));
  else return converted<double>(fold_lanes<All, Team::kPart>(team.self, mine));
}

// The largest entry (F is Max: nothing else is asked for so), of halves two at a time, as they are stored.
template <class F, class Team, class T, int W> LOSSC_FN Values<1, double> fold_part(const Team& team, const Row<T, W, true>& row) {
  if constexpr (sizeof(T) == 4) {
    return fold_part<F>(team, [](auto z) { return values(z); }, row);
  } else {
    if (Team::kResident) team.self.copies_done();
    T least;
    narrow(-LOSSC_INFINITY, least);
    unsigned acc[W / 2];
    for (int i = 0; i < W / 2; ++i) acc[i] = word_of(least) | word_of(least) << 16;
    each_packet<4>(team, row, [&](int e, int k) {
      const auto words = __builtin_bit_cast(Values<W / 2, unsigned>, packet(team, row, e, k));
      for (int i = 0; i < W / 2; ++i) acc[i] = max_two(acc[i], words.v[i], T());
    });
    for (int i = 1; i < W / 2; ++i) acc[0] = max_two(acc[0], acc[i], T());
    const auto two = __builtin_bit_cast(Packet<T, 2>, acc[0]);
    return converted<double>(fold_lanes<Folds<Max>, Team::kPart>(team.self, values(max_(widen(two.v[0]), widen(two.v[1])))));
  }
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

LOSSC_FN bool spoilt(unsigned poison) { return (poison & 0x7fff7fffu) != 0; }

// Looks at what the lane has stored.
template <class Team, class T, class Row> LOSSC_FN unsigned look_again(const Team& team, const Row& row, const T* out) {
  unsigned poison = 0;
  each_packet<1>(team, row, [&](int e, int) {
    LOSSC_UNROLL(1)
    for (int i = 0; i < Row::kWidth; ++i)
      if (row.holds(e + i)) poison = look<T>(word_of(read(out, e + i)), poison);
  });
  return poison;
}

// Stores map(entry, …) for every entry of the rows and mend(entry, …) for the target's; where the first row, the logits, is -inf, 0. A lane reads what it
// writes before it writes it, and nothing else, so that the row may be written over. False where this lane stored something that is not finite.
template <class Team, class T, class Map, class Mend, class First, class... Others>
LOSSC_FN bool store_row(const Team& team, T* out, index place, index vocab, index target, const Map& map, const Mend& mend, const First& row,
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
  // The lane that stores the target's entry mends it when all else is done; what it needs of it may not be there then.
  const int hot = int(target);
  const bool mends = row.holds(hot) && int(unsigned(hot - row.base()) / W % Team::kPart) == team.lane();
  float mended = 0.0f;
  if (mends) mended = one(mend, load(row.first, hot), load(others.first, hot)...);
  each_whole<1>(team, row, to, [&](T* here, int k) {
    float g[W];
    const auto take = [&](const auto&... entries) {
      for (int i = 0; i < W; ++i) g[i] = one(map, entries.v[i]...);
    };
    const int e = Team::kResident ? 0 : int(here - to);
    take(widened(packet(team, row, e, k)), widened(packet(team, others, e, k))...);
    const auto words = narrowed<T>(g);
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
    // It may have been the other one, in its place, that was not finite.
    if (spoilt(poison)) poison = look_again(team, row, to);
  }
  return !spoilt(poison);
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
  each_whole<1>(team, row, to, [&](T* here, int) { write_as_packet(here, 0, full); });
  each_cut(team, row, [&](int e, int) {
    LOSSC_UNROLL(1)
    for (int i = 0; i < kPacket<T>; ++i)
      if (row.holds(e + i)) write(to, e + i, full.v[0]);
  });
}

// A value per token that the whole team holds.
template <class Team, class T> LOSSC_FN void put(const Team& team, T* p, index i, float v) {
  if (team.leads()) store(p, i, v);
}
template <class Team> LOSSC_FN void put(const Team& team, double* p, index i, double v) {
  if (team.leads()) store(p, i, v);
}
