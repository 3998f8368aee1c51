// Teams of lanes: a warp or less, or a block of several warps. The same text runs on a GPU and, lane by lane, on the emulated device.

template <int LANES>
struct Team {
  Lane self;
  static constexpr int kLanes = LANES, kWarps = LANES / 32;
  LOSSC_FN int lane() const { return self.thread() % LANES; }
  LOSSC_FN bool leads() const { return lane() == 0; }
  LOSSC_FN void sync() const {
    if (LANES > 32) self.barrier(); else self.warp_barrier();
  }

  template <class T> LOSSC_FN T shuffle_xor(T v, int mask) const {
    constexpr int kWords = sizeof(T) / 4;
    Values<kWords, unsigned> words = __builtin_bit_cast(Values<kWords, unsigned>, v);
    for (int i = 0; i < kWords; ++i) words.v[i] = self.shuffle(words.v[i], (self.thread() % 32) ^ mask);
    return __builtin_bit_cast(T, words);
  }

  // Every lane gives a value and gets the fold of all, in the same tree and so with the same bits.
  template <class All, class V> LOSSC_FN V reduce(V acc) const {
    for (int mask = 16; mask > 0; mask >>= 1) acc = All::merge(acc, shuffle_xor(acc, mask));
    if (LANES > 32) {
      static_assert(kWarps * sizeof(V) <= kShared, "a phase folds more values than a block can exchange");
      V* const exchange = static_cast<V*>(self.shared());
      if (lane() % 32 == 0) write(exchange, lane() / 32, acc);
      self.barrier();
      acc = read(exchange, 0);
      for (int w = 1; w < kWarps; ++w) acc = All::merge(acc, read(exchange, w));
      self.barrier();  // the exchange is free again
    }
    return acc;
  }

  // Counts `count` arrivals; true for the team that completes `members`, which then sees what the others wrote.
  LOSSC_FN bool arrive(unsigned* counter, index count, index members) const {
    sync();
    unsigned last = 0;
    if (leads()) {
      fence();
      last = atomic_add(counter, unsigned(count)) + unsigned(count) == unsigned(members);
      if (last) write(counter, 0, 0u);
      fence();
    }
    return reduce<Folds<Largest>>(Values<1, unsigned>{{last}}).v[0] != 0;
  }

  template <class F, class T> LOSSC_FN double fold_run(const T* values, index begin, index end) const {
    auto acc = Folds<F>::template identity<double>();
    LOSSC_UNROLL(LANES > 32 ? 1 : 4)  // a chunk is a few values per lane of a block, but many per lane of a warp
    for (index i = begin + lane(); i < end; i += LANES) acc.v[0] = F::merge(acc.v[0], double(read_fresh(values, i)));
    return reduce<Folds<F>>(acc).v[0];
  }

  struct Largest {
    static LOSSC_FN unsigned merge(unsigned a, unsigned b) { return a > b ? a : b; }
  };
};

// ---- rows, in packets of 16 bytes that are aligned to the global element index ----

template <class T> constexpr int kPacket = 16 / sizeof(T);
template <class T> struct alignas(16) Packet { T v[kPacket<T>]; };

// A row of logits. Within it, entries are counted by int, which takes half the registers of an index.
template <class T>
struct Row {
  const T* first;
  int count;
  int skew;  // entries between the packet boundary before the row and the row
  LOSSC_FN Row(const T* logits, index t, index vocab) : first(logits + t * vocab), count(int(vocab)), skew(int(t * vocab % kPacket<T>)) {}
};
template <class T> LOSSC_FN float at(const Row<T>& row, index i) { return load(row.first, i); }

// W entries of a row from entry e on, widened; in packets where they lie on packet boundaries.
template <int W> struct Run { float v[W]; };
template <int W, class T>
LOSSC_FN Run<W> load_run(const Row<T>& row, int e) {
  constexpr int P = kPacket<T>;
  Run<W> r;
  if (W % P == 0 && (row.skew + e) % P == 0) {
    for (int k = 0; k < W / P; ++k) {
      const Packet<T> packet = read_as_packet<Packet<T>>(row.first, e + k * P);
      for (int i = 0; i < P; ++i) r.v[k * P + i] = widen(packet.v[i]);
    }
  } else {
    for (int i = 0; i < W; ++i) r.v[i] = load(row.first, e + i);
  }
  return r;
}

// Folds map(entry, …) over rows that are read together. Which lane takes an entry follows from the entry's place in its row, not from the row's place
// in memory: a row has the same bits wherever it lies.
template <class... F, class Team, class Map, class T, class... Others>
LOSSC_FN auto fold(const Team& team, const Map& map, const Row<T>& row, const Row<Others>&... others) {
  using All = Folds<F...>;
  constexpr int W = kPacket<T>;
  auto acc = All::template identity<float>();
  // The entries of a packet pair by pair: fewer roundings in a row, and no long chain of additions.
  const auto take = [&](const auto&... run) {
    Values<All::N, float> part[W];
    for (int i = 0; i < W; ++i) part[i] = map(run.v[i]...);
    for (int half = W / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) part[i] = All::merge(part[i], part[i + half]);
    acc = All::merge(acc, part[0]);
  };
  for (int e = team.lane() * W; e < row.count; e += Team::kLanes * W) {
    if (e + W > row.count) {
      LOSSC_UNROLL(1)
      for (int i = e; i < row.count; ++i) acc = All::merge(acc, map(load(row.first, i), load(others.first, i)...));
    } else {
      take(load_run<W>(row, e), load_run<W>(others, e)...);
    }
  }
  return converted<float>(team.template reduce<All>(converted<double>(acc)));
}

// Calls inner(first entry) for the packets of memory that lie wholly in the row and edge(entry) for what sticks out of them.
template <class Team, class T, class Inner, class Edge>
LOSSC_FN void each_packet(const Team& team, const Row<T>& row, const Inner& inner, const Edge& edge) {
  constexpr int W = kPacket<T>;
  for (int e = team.lane() * W - row.skew; e < row.count; e += Team::kLanes * W) {
    if (e >= 0 && e + W <= row.count) {
      inner(e);
    } else {
      LOSSC_UNROLL(1)
      for (int i = e < 0 ? 0 : e; i < e + W && i < row.count; ++i) edge(i);
    }
  }
}

// Stores map(entry, …) for every entry of the rows and mend(entry, …) for the target's; where the first row, the logits, is -inf, 0. A lane reads what it
// writes before it writes it, and nothing else, so that the row may be written over. False where this lane stored something that is not finite.
template <class Team, class T, class Map, class Mend, class... Others>
LOSSC_FN bool store_row(const Team& team, T* out, index t, index target, const Map& map, const Mend& mend, const Row<T>& row,
                        const Row<Others>&... others) {
  constexpr int W = kPacket<T>;
  T* const to = out + t * row.count;
  const int hot = int(target);
  float poison = 0.0f;  // 0 · finite is 0
  const auto one = [&](const auto& entry, float z, auto... rest) {
    T g;
    narrow(z == -LOSSC_INFINITY ? 0.0f : entry(z, rest...), g);
    return g;
  };
  each_packet(
      team, row,
      [&](int e) {
        Packet<T> g;
        const auto take = [&](const auto&... run) {
          for (int i = 0; i < W; ++i) g.v[i] = one(map, run.v[i]...);
          if (hot >= e && hot < e + W)
            for (int i = 0; i < W; ++i)
              if (e + i == hot) g.v[i] = one(mend, run.v[i]...);
        };
        take(load_run<W>(row, e), load_run<W>(others, e)...);
        for (int i = 0; i < W; ++i) poison += widen(g.v[i]) * 0.0f;
        write_as_packet(to, e, g);
      },
      [&](int i) {
        const float z = load(row.first, i);
        const T g = i == hot ? one(mend, z, load(others.first, i)...) : one(map, z, load(others.first, i)...);
        poison += widen(g) * 0.0f;
        write(to, i, g);
      });
  return poison == 0.0f;
}

template <class Team, class T> LOSSC_FN void fill_row(const Team& team, T* out, index t, index vocab, float v) {
  T* const to = out + t * vocab;
  Packet<T> full;
  for (int i = 0; i < kPacket<T>; ++i) narrow(v, full.v[i]);
  each_packet(team, Row<T>(out, t, vocab), [&](int e) { write_as_packet(to, e, full); }, [&](int i) { write(to, i, full.v[0]); });
}

// A value per token that the whole team holds.
template <class Team, class T> LOSSC_FN void put(const Team& team, T* p, index i, float v) {
  if (team.leads()) store(p, i, v);
}
template <class Team> LOSSC_FN void put(const Team& team, double* p, index i, double v) {
  if (team.leads()) store(p, i, v);
}

template <class K, class Team> LOSSC_FN void visit_row(const typename K::Args& a, const Team& team, index t) {
  if (t >= a.n) return;
  K::row(a, team, t);
  K::tails(a, team, t, 1);
}
template <class K, class Team> LOSSC_FN void visit_elements(const typename K::Args& a, const Team& team, index first) {
  const index i = first + team.lane();
  if (i < a.n) K::element(a, i);
  K::tails(a, team, first, first + Team::kLanes < a.n ? Team::kLanes : a.n - first);
}

#define LOSSC_SWEEP(name, K) \
  LOSSC_ENTRY(name, K, kBlock, 1, (visit_row<K>(a, Team<kTeam>{lane}, block * (kBlock / kTeam) + lane.thread() / kTeam)))
#define LOSSC_STEP(name, K) LOSSC_ENTRY(name, K, kStep, 1, (visit_elements<K>(a, Team<kStep>{lane}, block * kStep)))
#define LOSSC_MAP(name, K) \
  LOSSC_ENTRY(name, K, kStep, 1, if (block * kStep + lane.thread() < a.n) K::element(a, block * kStep + lane.thread()))
