#include "emulator/cluster.h"

#include <cstring>

namespace lossc::emulator {
namespace {

/// A copy into shared memory that nobody has waited for.
struct Copy {
  void* to;
  const void* from;
  int bytes;
};

}  // namespace

/// A lane as the kernel sees it, and where it stands.
struct Cluster::Lane : LosscLane {
  enum class State { ready, atBarrier, atShuffle, atCluster, returned };

  Cluster* owner = nullptr;
  Fiber fiber;
  State state = State::ready;
  unsigned value = 0;
  int source = 0;
  int among = 0;
  int arrivals = 0;
  std::vector<Copy> copies{};

  const char* where() const {
    switch (state) {
      case State::ready:
        return "is running";
      case State::atBarrier:
        return "waits at a barrier of the block";
      case State::atShuffle:
        return "waits at a shuffle of its warp";
      case State::atCluster:
        return "waits at a barrier of the cluster";
      case State::returned:
        return "has returned";
    }
    return "";
  }
  std::string name() const { return "thread " + std::to_string(thread) + " of block " + std::to_string(block); }
  /// Whether it waits for the other.
  bool awaits(const Lane& other) const {
    switch (state) {
      case State::atBarrier:
        return block == other.block && other.state != State::atBarrier;
      case State::atShuffle:
        return block == other.block && thread / among == other.thread / among && other.state != State::atShuffle;
      case State::atCluster:
        return other.arrivals < arrivals;
      default:
        return false;
    }
  }
};

Cluster::Cluster(Order order) : order_(order) {}
Cluster::~Cluster() = default;

void Cluster::run(Kernel* kernel, const void* arguments, long long first, Shape shape) {
  kernel_ = kernel;
  arguments_ = arguments;
  shape_ = shape;
  prepare(first);
  Turns turns(order_, first);
  std::vector<int> candidates;
  for (;;) {
    candidates.clear();
    for (int warp = 0; warp < warps(); ++warp)
      if (ready(warp)) candidates.push_back(warp);
    if (candidates.empty()) {
      if (release()) continue;
      break;
    }
    // A warp whose turn it is every time runs as far ahead of the others as the barriers allow: that is what the first and the last get.
    const int warp = candidates[turns.pick(candidates.size())];
    step(warp, turns);
    exchange(warp);
  }
  for (int i = 0; i < count(); ++i)
    if (lanes_[static_cast<std::size_t>(i)]->state != Lane::State::returned) stuck();
}

void Cluster::prepare(long long first) {
  shared_.assign(static_cast<std::size_t>(shape_.shared) * static_cast<std::size_t>(shape_.cluster), 0xff);
  while (lanes_.size() < static_cast<std::size_t>(count())) lanes_.push_back(std::make_unique<Lane>());
  for (int i = 0; i < count(); ++i) {
    auto& lane = *lanes_[static_cast<std::size_t>(i)];
    const int rank = i / shape_.threads;
    static_cast<LosscLane&>(lane) = {first + rank, i % shape_.threads, shape_.threads, rank, sharedOf(rank), barrier, shuffle, arrive, wait, remote, copy, copied};
    lane.owner = this;
    lane.state = Lane::State::ready;
    lane.arrivals = 0;
    lane.copies.clear();
    lane.fiber.start(enter, &lane);
  }
}

bool Cluster::ready(int warp) {
  for (int index = 0; index < lanesOf(warp); ++index)
    if (lane(warp, index).state == Lane::State::ready) return true;
  return false;
}

/// Every lane of the warp runs to its next barrier or shuffle, or to its end.
void Cluster::step(int warp, Turns& turns) {
  turns_.resize(static_cast<std::size_t>(lanesOf(warp)));
  turns.arrange(turns_);
  for (const int index : turns_) {
    auto& current = lane(warp, index);
    if (current.state == Lane::State::ready) current.fiber.resume();
    if (current.fiber.finished()) current.state = Lane::State::returned;
  }
}

/// Where a whole group of lanes waits at a shuffle, hands the values over and lets it go on.
void Cluster::exchange(int warp) {
  for (int begin = 0; begin < lanesOf(warp);) {
    auto& first = lane(warp, begin);
    if (first.state != Lane::State::atShuffle) {
      ++begin;
      continue;
    }
    const int end = std::min(begin + first.among, lanesOf(warp));
    bool whole = begin % first.among == 0;
    for (int index = begin; index < end; ++index) whole = whole && lane(warp, index).state == Lane::State::atShuffle && lane(warp, index).among == first.among;
    if (!whole) {
      ++begin;
      continue;
    }
    unsigned values[warpSize];
    for (int index = begin; index < end; ++index) {
      const auto& reader = lane(warp, index);
      if (reader.source < begin || reader.source >= end)
        throw LaneFault(reader.name() + " shuffles from lane " + std::to_string(reader.source) + ", which is none of the " + std::to_string(end - begin) +
                        " lanes from " + std::to_string(begin) + " on that it shuffles with");
      values[index] = lane(warp, reader.source).value;
    }
    for (int index = begin; index < end; ++index) {
      lane(warp, index).value = values[index];
      lane(warp, index).state = Lane::State::ready;
    }
    begin = end;
  }
}

/// Lets those go on who wait for nobody any more: blocks that are at a barrier as a whole, or the whole cluster.
bool Cluster::release() {
  bool released = false;
  for (int rank = 0; rank < shape_.cluster; ++rank) {
    const auto begin = lanes_.begin() + rank * shape_.threads, end = begin + shape_.threads;
    if (!std::all_of(begin, end, [](const auto& lane) { return lane->state == Lane::State::atBarrier; })) continue;
    std::for_each(begin, end, [](const auto& lane) { lane->state = Lane::State::ready; });
    released = true;
  }
  if (released) return true;
  int least = 0;
  for (int i = 0; i < count(); ++i) {
    const auto& lane = *lanes_[static_cast<std::size_t>(i)];
    if (lane.state != Lane::State::returned && (i == 0 || lane.arrivals < least)) least = lane.arrivals;
  }
  for (int i = 0; i < count(); ++i) {
    auto& lane = *lanes_[static_cast<std::size_t>(i)];
    if (lane.state != Lane::State::atCluster || lane.arrivals > least) continue;
    lane.state = Lane::State::ready;
    released = true;
  }
  return released;
}

/// Names a lane that waits and one that it waits for.
void Cluster::stuck() {
  for (int i = 0; i < count(); ++i) {
    const auto& waiting = *lanes_[static_cast<std::size_t>(i)];
    for (int j = 0; j < count(); ++j) {
      const auto& other = *lanes_[static_cast<std::size_t>(j)];
      if (waiting.awaits(other)) throw LaneFault(waiting.name() + " " + waiting.where() + " that " +
                                                 (other.block == waiting.block ? "thread " + std::to_string(other.thread) : other.name()) +
                                                 " never reaches: it " + other.where());
    }
  }
  throw LaneFault("the lanes of a cluster no longer agree");
}

void Cluster::enter(void* data) {
  auto* lane = static_cast<Lane*>(data);
  lane->owner->kernel_(lane->owner->arguments_, lane);
}

// The kernel is shown a constant lane; it is one of ours.

void Cluster::barrier(const LosscLane* seen) {
  auto* lane = const_cast<Lane*>(static_cast<const Lane*>(seen));
  lane->state = Lane::State::atBarrier;
  lane->fiber.suspend();
}

unsigned Cluster::shuffle(const LosscLane* seen, unsigned value, int source, int lanes) {
  auto* lane = const_cast<Lane*>(static_cast<const Lane*>(seen));
  lane->value = value;
  lane->source = source;
  lane->among = lanes;
  lane->state = Lane::State::atShuffle;
  lane->fiber.suspend();
  return lane->value;
}

void Cluster::arrive(const LosscLane* seen) { ++const_cast<Lane*>(static_cast<const Lane*>(seen))->arrivals; }

void Cluster::wait(const LosscLane* seen) {
  auto* lane = const_cast<Lane*>(static_cast<const Lane*>(seen));
  lane->state = Lane::State::atCluster;
  lane->fiber.suspend();
}

void* Cluster::remote(const LosscLane* seen, void* mine, int rank) {
  auto& owner = *static_cast<const Lane*>(seen)->owner;
  return owner.sharedOf(rank) + (static_cast<unsigned char*>(mine) - owner.sharedOf(seen->rank));
}

void Cluster::copy(const LosscLane* seen, void* shared, const void* global, int bytes) {
  const_cast<Lane*>(static_cast<const Lane*>(seen))->copies.push_back({shared, global, bytes});
}

void Cluster::copied(const LosscLane* seen) {
  auto& copies = const_cast<Lane*>(static_cast<const Lane*>(seen))->copies;
  for (const auto& [to, from, bytes] : copies) std::memcpy(to, from, static_cast<std::size_t>(bytes));
  copies.clear();
}

}  // namespace lossc::emulator
