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
// Opens the row of a token; the logits first, the others with those that are open already.
template <class T, class... Open>
LOSSC_FN Row<T> open(const Team&, bool, const T* p, index t, index vocab, const Open&...) { return {p + t * vocab, vocab}; }
template <class T> LOSSC_FN float at(const Row<T>& row, index i) { return load(row.data, i); }

// The last packet of a row, filled up with zeros.
template <class T> LOSSC_FN Packet edge_packet(const T* p, index count) {
  Packet r{};
  for (index i = 0; i < count; ++i) r[i] = widen(p[i]);
  return r;
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
  auto r = All::template identity<double>();
  const auto add_lanes = [&](const Values<All::N, Packet>& lanes, index count) {
    for (index l = 0; l < count; ++l) {
      Values<All::N, double> one;
      for (int k = 0; k < All::N; ++k) one.v[k] = lanes.v[k][l];
      r = All::merge(r, one);
    }
  };
  add_lanes(All::merge(All::merge(acc[0], acc[1]), All::merge(acc[2], acc[3])), kLanes);
  const index left = first.count - i;
  if (left > 0) add_lanes(map(edge_packet(first.data + i, left), edge_packet(others.data + i, left)...), left);
  return converted<float>(r);
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
LOSSC_FN bool store_row(const Team&, T* out, index t, index, index target, const Map& map, const Mend& mend, const Row<T>& logits,
                        const Row<Others>&... others) {
  T* const to = out + t * logits.count;
  const float z_target = at(logits, target);
  const float mended = z_target == -LOSSC_INFINITY ? 0.0f : mend(z_target, at(others, target)...);
  Packet poison{};  // 0 · finite is 0; the target's packet is looked at when it has been mended
  const index hot = target / kLanes * kLanes;
  const auto there = [&](Packet z, Packet g) { return select(z == -LOSSC_INFINITY, 0.0f, g); };
  index i = 0;
  for (; i + kLanes <= logits.count; i += kLanes) {
    const Packet z = widen_packet(logits.data + i);
    narrow_packet(there(z, map(z, widen_packet(others.data + i)...)), to + i);
    if (i != hot) poison += widen_packet(to + i) * 0.0f;
  }
  const index left = logits.count - i;
  if (left > 0) {
    const Packet z = edge_packet(logits.data + i, left);
    const Packet g = there(z, map(z, edge_packet(others.data + i, left)...));
    for (index l = 0; l < left; ++l) {
      store(to, i + l, g[l]);
      if (i + l != target) poison[0] += load(to, i + l) * 0.0f;
    }
  }
  store(to, target, mended);
  if (hot < i) poison += widen_packet(to + hot) * 0.0f;
  else poison[0] += load(to, target) * 0.0f;
  float sum = 0.0f;
  for (int l = 0; l < kLanes; ++l) sum += poison[l];
  return sum == 0.0f;
}

template <class T> LOSSC_FN void fill_row(const Team&, T* out, index t, index vocab, float v) {
  for (index i = 0; i < vocab; ++i) store(out, t * vocab + i, v);
}

// A value per token that the whole team holds.
template <class T> LOSSC_FN void put(const Team&, T* p, index i, float v) { store(p, i, v); }
LOSSC_FN void put(const Team&, double* p, index i, double v) { store(p, i, v); }

#define LOSSC_SWEEP(name, K)                                                                        \
  extern "C" void name(const void* arguments, index begin, index end) {                             \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                                     \
    const Team team;                                                                                \
    for (index t = begin; t < end; ++t) K::row(a, team, t);                                         \
    K::tails(a, team, begin, end - begin);                                                          \
  }
#define LOSSC_STEP(name, K)                                                                         \
  extern "C" void name(const void* arguments, index begin, index end) {                             \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                                     \
    for (index i = begin; i < end; ++i) K::element(a, i);                                           \
    K::tails(a, Team(), begin, end - begin);                                                        \
  }
#define LOSSC_MAP(name, K)                                                                          \
  extern "C" void name(const void* arguments, index begin, index end) {                             \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                                     \
    for (index i = begin; i < end; ++i) K::element(a, i);                                           \
  }
