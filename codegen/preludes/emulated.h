// The geometry of a GPU, lane by lane on the CPU: every lane is a fiber of the addon, which switches lanes where they meet.

struct LosscLane {
  long long block;
  int thread, threads;
  void* shared;
  void (*barrier)(const LosscLane*);
  unsigned (*shuffle)(const LosscLane*, unsigned value, int source);
};

template <class P, class T> LOSSC_FN P read_as_packet(const T* p, index e) {
  P r;
  __builtin_memcpy(&r, p + e, sizeof r);
  return r;
}
template <class P, class T> LOSSC_FN void write_as_packet(T* p, index e, const P& v) { __builtin_memcpy(p + e, &v, sizeof v); }

#define LOSSC_UNROLL(times)

LOSSC_FN float fast_exp_(float x) { return exp_(x); }

struct Lane {
  const LosscLane* lane;
  LOSSC_FN int thread() const { return lane->thread; }
  LOSSC_FN void barrier() const { lane->barrier(lane); }
  LOSSC_FN void warp_barrier() const { lane->shuffle(lane, 0, lane->thread % 32); }
  LOSSC_FN unsigned shuffle(unsigned v, int source) const { return lane->shuffle(lane, v, source); }
  LOSSC_FN void* shared() const { return lane->shared; }
};

#define LOSSC_ENTRY(name, K, threads, visit)                                            \
  extern "C" void name(const void* arguments, const LosscLane* self) {                  \
    const K::Args& a = *static_cast<const K::Args*>(arguments);                         \
    const index block = self->block;                                                    \
    const Lane lane{self};                                                              \
    visit;                                                                              \
  }
