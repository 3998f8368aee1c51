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
  LOSSC_FN Row(const T* logits, index t, index vocab) : data(logits + t * vocab), count(vocab) {}
};
template <class T> LOSSC_FN float at(const Row<T>& row, index i) { return load(row.data, i); }

// The last packet of a row, filled up with zeros.
template <class T> LOSSC_FN Packet edge_packet(const T* p, index count) {
  Packet r{};
  for (index i = 0; i < count; ++i) r[i] = widen(p[i]);
  return r;
}

template <class... F, class T, class Map>
LOSSC_FN auto fold(const Team&, const Row<T>& row, const Map& map) {
  using All = Folds<F...>;
  constexpr int kChains = 4;  // independent accumulators: they hide latency and keep a long sum accurate
  Values<All::N, Packet> acc[kChains];
  for (auto& a : acc) a = All::template identity<Packet>();
  index i = 0;
  for (; i + kChains * kLanes <= row.count; i += kChains * kLanes)
    for (int c = 0; c < kChains; ++c) acc[c] = All::merge(acc[c], map(widen_packet(row.data + i + c * kLanes)));
  for (; i + kLanes <= row.count; i += kLanes) acc[0] = All::merge(acc[0], map(widen_packet(row.data + i)));
  auto r = All::template identity<float>();
  const auto add_lanes = [&](const Values<All::N, Packet>& lanes, index count) {
    for (index l = 0; l < count; ++l) {
      Values<All::N, float> one;
      for (int k = 0; k < All::N; ++k) one.v[k] = lanes.v[k][l];
      r = All::merge(r, one);
    }
  };
  add_lanes(All::merge(All::merge(acc[0], acc[1]), All::merge(acc[2], acc[3])), kLanes);
  if (i < row.count) add_lanes(map(edge_packet(row.data + i, row.count - i)), row.count - i);
  return r;
}

// Stores map(z) for every entry of the row and mend(z) for the target's; where z is -inf, 0. Writes over the row that it reads, if asked to.
// False where something stored is not finite.
template <class T, class Map, class Mend>
LOSSC_FN bool store_row(const Team&, T* out, index t, const Row<T>& row, index target, const Map& map, const Mend& mend) {
  T* const to = out + t * row.count;
  const float z_target = at(row, target);
  Packet poison{};  // 0 · finite is 0
  const auto one = [&](Packet z) { return select(z == -LOSSC_INFINITY, 0.0f, map(z)); };
  index i = 0;
  for (; i + kLanes <= row.count; i += kLanes) {
    narrow_packet(one(widen_packet(row.data + i)), to + i);
    poison += widen_packet(to + i) * 0.0f;
  }
  if (i < row.count) {
    const Packet g = one(edge_packet(row.data + i, row.count - i));
    for (index l = 0; i + l < row.count; ++l) {
      store(to, i + l, g[l]);
      poison[0] += load(to, i + l) * 0.0f;
    }
  }
  store(to, target, z_target == -LOSSC_INFINITY ? 0.0f : mend(z_target));
  poison[0] += load(to, target) * 0.0f;
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
