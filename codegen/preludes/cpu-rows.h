// A row on one thread: phases, the store of the gradient, and the entry points.

struct Team {
  LOSSC_FN bool leads() const { return true; }
  // Counts `count` arrivals; true for the one that completes `members`, which then sees what the others wrote.
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
};
// Opens a row; the logits first, the others with those that are open already.
template <class T, class... Open>
LOSSC_FN Row<T> open(const Team&, bool, const T* p, index place, index vocab, const Open&...) { return {p + place * vocab, vocab}; }
template <class T> LOSSC_FN float at(const Row<T>& row, index i) { return load(row.data, i); }

// The last packet of a row, filled up with zeros.
template <class T> LOSSC_FN Packet edge_packet(const T* p, index count) {
  Packet r{};
  for (index i = 0; i < count; ++i) r[i] = widen(p[i]);
  return r;
}

typedef double Doubles __attribute__((vector_size(64)));
LOSSC_FN Doubles lower_half(Packet x) {
#ifdef __AVX512F__
  return __builtin_convertvector(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7), Doubles);
#else
  Doubles d;
  for (int l = 0; l < 8; ++l) d[l] = double(x[l]);
  return d;
#endif
}
template <> LOSSC_FN Doubles splat<Doubles>(float x) { return double(x) - Doubles{}; }

// The lanes of a packet in one number, by halves: sums in float64, and what rounding does not touch as it is.
template <class F> LOSSC_FN double fold_lanes(Packet x) {
  if constexpr (F::kOrdered) {
    Doubles d = F::merge(lower_half(x), lower_half(__builtin_shuffle(x, Mask{8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7})));
    typedef long long Places __attribute__((vector_size(64)));
    d = F::merge(d, __builtin_shuffle(d, Places{4, 5, 6, 7, 0, 1, 2, 3}));
    d = F::merge(d, __builtin_shuffle(d, Places{2, 3, 0, 1, 6, 7, 4, 5}));
    return F::merge(d, __builtin_shuffle(d, Places{1, 0, 3, 2, 5, 4, 7, 6}))[0];
  } else {
    x = F::merge(x, __builtin_shuffle(x, Mask{8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7}));
    x = F::merge(x, __builtin_shuffle(x, Mask{4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11}));
    x = F::merge(x, __builtin_shuffle(x, Mask{2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13}));
    return F::merge(x, __builtin_shuffle(x, Mask{1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14}))[0];
  }
}

// Folds map(entry, …) over rows that are read together.
template <class... F, class Map, class First, class... Others>
LOSSC_FN auto fold(const Team&, const Map& map, const Row<First>& first, const Row<Others>&... others) {
  using All = Folds<F...>;
  constexpr int kChains = 4;  // independent accumulators: they hide latency and keep a long sum accurate
  Values<All::N, Packet> acc[kChains];
  for (auto& a : acc) a = All::template identity<Packet>();
  const auto at_packet = [&](index i) { return map(widen_packet(first.data + i), widen_packet(others.data + i)...); };
  index i = 0;
  for (; i + kChains * kLanes <= first.count; i += kChains * kLanes)
    for (int c = 0; c < kChains; ++c) acc[c] = All::merge(acc[c], at_packet(i + c * kLanes));
  for (; i + kLanes <= first.count; i += kLanes) acc[0] = All::merge(acc[0], at_packet(i));
  if (const index left = first.count - i; left > 0) {
    const auto edge = map(edge_packet(first.data + i, left), edge_packet(others.data + i, left)...);
    const Mask there = Mask{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} < int(left);
    for (int k = 0; k < All::N; ++k) acc[1].v[k] = select(there, All::merge(acc[1], edge).v[k], acc[1].v[k]);
  }
  const auto all = All::merge(All::merge(acc[0], acc[1]), All::merge(acc[2], acc[3]));
  Values<All::N, float> r;
  int k = 0;
  ((r.v[k] = float(fold_lanes<F>(all.v[k])), ++k), ...);
  return r;
}

// A thread has the whole row, so that its part is all there is, and its maxima are the row's.
template <class... F, class Map, class... Rows>
LOSSC_FN auto fold_part(const Team& team, const Map& map, const Rows&... rows) { return fold<F...>(team, map, rows...); }
LOSSC_FN float base_(const Team&, float maximum) { return maximum; }
template <class... Rules, int N, int K>
LOSSC_FN Values<N + K, float> meet(const Team&, const Values<N, float>& maxima, const Values<K, float>& sums) {
  Values<N + K, float> r;
  for (int i = 0; i < N; ++i) r.v[i] = maxima.v[i];
  for (int i = 0; i < K; ++i) r.v[N + i] = sums.v[i];
  return r;
}

// Stores map(entry, …) for every entry of the rows and mend(entry, …) for the target's; where the first row, the logits, is -inf, 0. Writes over
// the row that it reads, if asked to. False where something stored is not finite.
template <class T, class Map, class Mend, class... Others>
LOSSC_FN bool store_row(const Team&, T* out, index place, index, index target, const Map& map, const Mend& mend, const Row<T>& logits,
                        const Row<Others>&... others) {
  T* const to = out + place * logits.count;
  const float z_target = at(logits, target);
  const float mended = z_target == -LOSSC_INFINITY ? 0.0f : mend(z_target, at(others, target)...);
  Packet poison{};  // 0 · finite is 0; the target's packet is looked at when it has been mended
  const index hot = target / kLanes * kLanes;
  const auto there = [&](Packet z, Packet g) { return select(z == -LOSSC_INFINITY, 0.0f, g); };
  const auto pass = [&](index begin, index end) {
    for (index i = begin; i < end; i += kLanes) {
      const Packet z = widen_packet(logits.data + i);
      poison = fma_(narrow_packet(there(z, map(z, widen_packet(others.data + i)...)), to + i), Packet{}, poison);
    }
  };
  const index whole = logits.count / kLanes * kLanes;
  pass(0, hot < whole ? hot : whole);
  if (hot < whole) {
    const Packet z = widen_packet(logits.data + hot);
    narrow_packet(there(z, map(z, widen_packet(others.data + hot)...)), to + hot);
    pass(hot + kLanes, whole);
  }
  const index left = logits.count - whole;
  if (left > 0) {
    const Packet z = edge_packet(logits.data + whole, left);
    const Packet g = there(z, map(z, edge_packet(others.data + whole, left)...));
    for (index l = 0; l < left; ++l) {
      store(to, whole + l, g[l]);
      if (whole + l != target) poison[0] += load(to, whole + l) * 0.0f;
    }
  }
  store(to, target, mended);
  if (hot < whole) poison = fma_(widen_packet(to + hot), Packet{}, poison);
  else poison[0] += load(to, target) * 0.0f;
  return !any(poison != poison);
}

template <class T> LOSSC_FN void fill_row(const Team&, T* out, index place, index vocab, float v) {
  if (place < 0) return;
  for (index i = 0; i < vocab; ++i) store(out, place * vocab + i, v);
}

// A value per token that the whole team holds.
template <class T> LOSSC_FN void put(const Team&, T* p, index i, float v) { store(p, i, v); }
LOSSC_FN void put(const Team&, double* p, index i, double v) { store(p, i, v); }

#define LOSSC_SWEEP(name, K)                                                                        \
  extern "C" void name(const void* arguments, index begin, index end) {                             \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                                     \
    const Team team;                                                                                \
    for (index t = a.first + begin; t < a.first + end; ++t) K::row(a, team, t);                     \
    K::tails(a, team, a.first + begin, end - begin);                                                \
  }
#define LOSSC_STEP(name, K)                                                                         \
  extern "C" void name(const void* arguments, index begin, index end) {                             \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                                     \
    for (index i = a.first + begin; i < a.first + end; ++i) K::element(a, i);                       \
    K::tails(a, Team(), a.first + begin, end - begin);                                              \
  }
#define LOSSC_MAP(name, K)                                                                          \
  extern "C" void name(const void* arguments, index begin, index end) {                             \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                                     \
    for (index i = begin; i < end; ++i) K::element(a, i);                                           \
  }
