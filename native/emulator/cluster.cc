#include "emulator/cluster.h"

#include <cstring>
#include <new>

namespace lossc::emulator {
namespace {

constexpr std::size_t alignment = 128;

struct Copy {
  void* to;
  const void* from;
  int bytes;
  bool landed;
};

/// The cluster whose accesses are checked on this thread.
thread_local Cluster* watching = nullptr;

void land(const Copy& copy) { std::memcpy(copy.to, copy.from, static_cast<std::size_t>(copy.bytes)); }

}  // namespace

/// A lane as the kernel sees it, with its state.
struct Cluster::Lane : LosscLane {
  Cluster* owner = nullptr;
  Fiber fiber;
  State state = State::ready;
  unsigned value = 0;
  int source = 0;
  int among = warpSize;
  Standing standing;
  std::vector<Copy> copies;

  std::string name() const { return "thread " + std::to_string(thread) + " of block " + std::to_string(block); }
  const char* where() const {
    switch (state) {
      case State::ready:
        return "is running";
      case State::atBarrier:
        return "waits at a barrier of the block";
      case State::atCluster:
        return "waits at a barrier of the cluster";
      case State::atShuffle:
        return "waits at a shuffle of its warp";
      case State::returned:
        return "has returned";
    }
    return "";
  }
  /// Whether this waiting lane waits for the other one.
  bool awaits(const Lane& other) const {
    if (state == State::atCluster) return other.standing.now.arrivals < standing.now.arrivals;
    return block == other.block && (state == State::atBarrier || thread / among == other.thread / among);
  }
};

void Cluster::Memory::operator()(unsigned char* memory) const { ::operator delete(memory, std::align_val_t{alignment}); }

Cluster::Cluster(Order order, Races* races) : order_(order), races_(races) {}
Cluster::~Cluster() = default;

void Cluster::run(Kernel* kernel, const void* arguments, long long first, const Shape& shape) {
  kernel_ = kernel;
  arguments_ = arguments;
  shape_ = shape;
  prepare(first);
  Turns turns(order_, first);
  draws_ = &turns;
  watching = races_ == nullptr ? nullptr : this;
  std::vector<int> ready;
  for (;;) {
    ready.clear();
    for (int warp = 0; warp < static_cast<int>(warps_.size()); ++warp) {
      const auto state = warps_[static_cast<std::size_t>(warp)];
      if (state == State::ready || (state == State::atCluster && lane(warp, 0).standing.now.arrivals <= completed_)) ready.push_back(warp);
    }
    if (ready.empty()) break;
    // The chosen warp runs as far ahead of the others as the barriers allow: the first warp in forward order, the last in reverse.
    step(ready[turns.pick(ready.size())], turns);
  }
  for (const auto state : warps_)
    if (state != State::returned) stuck();
  checkGuards();
}

void Cluster::checkGuards() const {
  for (int rank = 0; rank < shape_.cluster; ++rank) {
    const auto* end = shared_.get() + stride_ * static_cast<std::size_t>(rank) + shape_.shared;
    if (!std::all_of(end, end + guardBytes, [](unsigned char byte) { return byte == 0xff; }))
      throw LaneFault("block " + std::to_string(lanes_[static_cast<std::size_t>(rank * shape_.threads)]->block) + " has " +
                      std::to_string(shape_.shared) +
                      " bytes of shared memory, and something wrote behind them");
  }
}

void Cluster::prepare(long long first) {
  stride_ = (static_cast<std::size_t>(shape_.shared) + guardBytes + alignment - 1) / alignment * alignment;
  const auto bytes = stride_ * static_cast<std::size_t>(shape_.cluster);
  if (bytes > sharedBytes_) {
    shared_.reset(static_cast<unsigned char*>(::operator new(bytes, std::align_val_t{alignment})));
    sharedBytes_ = bytes;
  }
  std::memset(shared_.get(), 0xff, bytes);
  while (lanes_.size() < static_cast<std::size_t>(lanes())) lanes_.push_back(std::make_unique<Lane>());
  for (int index = 0; index < lanes(); ++index) {
    auto& lane = *lanes_[static_cast<std::size_t>(index)];
    const int rank = index / shape_.threads;
    static_cast<LosscLane&>(lane) = {first + rank,   index % shape_.threads,
                                     shape_.threads, rank,
                                     shape_.cluster, shared_.get() + stride_ * static_cast<std::size_t>(rank),
                                     barrier,        shuffle,
                                     arrive,         wait,
                                     remote,         copy,
                                     copiesDone,     races_ == nullptr ? nullptr : touch};
    lane.owner = this;
    lane.state = State::ready;
    lane.standing = {};
    lane.standing.now.block = static_cast<int>(lane.block);
    lane.standing.now.thread = lane.thread;
    lane.copies.clear();
    lane.fiber.start(enter, &lane);
  }
  if (races_ != nullptr) races_->enter(shape_.cluster, shared_.get(), bytes, stride_, static_cast<int>(first));
  warps_.assign(static_cast<std::size_t>(warpsOfBlock() * shape_.cluster), State::ready);
  completed_ = arrived_ = 0;
  fault_.clear();
}

/// Runs every lane of the warp to its next wait, or to its end.
void Cluster::step(int warp, Turns& turns) {
  if (warps_[static_cast<std::size_t>(warp)] == State::atCluster)
    for (int index = 0; index < lanesOf(warp); ++index) lane(warp, index).state = State::ready;
  turns_.resize(static_cast<std::size_t>(lanesOf(warp)));
  turns.arrange(turns_);
  for (const int index : turns_) {
    auto& current = lane(warp, index);
    if (current.state != State::ready) continue;
    current_ = &current;
    current.fiber.resume();
    if (!fault_.empty()) throw LaneFault(fault_);
    if (current.fiber.finished()) current.state = State::returned;
  }
  settle(warp);
}

/// Releases lanes that need not wait. A diverged warp of which no group of lanes can continue is stuck.
void Cluster::settle(int warp) {
  auto& state = warps_[static_cast<std::size_t>(warp)];
  if (exchange(warp)) {
    state = State::ready;
    return;
  }
  state = lane(warp, 0).state;
  for (int index = 1; index < lanesOf(warp); ++index)
    if (lane(warp, index).state != state) stuck();
  if (state == State::atBarrier) release(warp / warpsOfBlock());
}

/// Exchanges values within the groups whose lanes all wait at a shuffle. Returns whether there were any.
bool Cluster::exchange(int warp) {
  bool any = false;
  for (int begin = 0, end = 0; begin < lanesOf(warp); begin = end) {
    const auto& first = lane(warp, begin);
    const int size = first.state == State::atShuffle ? first.among : 1;
    end = std::min(begin + size, lanesOf(warp));
    bool whole = first.state == State::atShuffle && begin % size == 0;
    for (int index = begin; index < end; ++index) whole = whole && lane(warp, index).state == State::atShuffle && lane(warp, index).among == size;
    if (!whole) continue;
    unsigned values[warpSize];
    for (int index = begin; index < end; ++index) {
      const auto& reader = lane(warp, index);
      if (reader.source < begin || reader.source >= end)
        throw LaneFault(reader.name() + " shuffles from lane " + std::to_string(reader.source) + ", which is none of the " +
                        std::to_string(end - begin) +
                        " lanes from " + std::to_string(begin) + " on that it shuffles with");
      values[index] = lane(warp, reader.source).value;
    }
    for (int index = begin; index < end; ++index) {
      lane(warp, index).value = values[index];
      lane(warp, index).state = State::ready;
    }
    const int block = warp / warpsOfBlock() * shape_.threads + warp % warpsOfBlock() * warpSize;
    spread(block + begin, block + end);
    any = true;
  }
  return any;
}

/// Releases the block where all of it waits at a barrier.
void Cluster::release(int block) {
  const auto begin = warps_.begin() + block * warpsOfBlock(), end = begin + warpsOfBlock();
  if (!std::all_of(begin, end, [](State state) { return state == State::atBarrier; })) return;
  std::fill(begin, end, State::ready);
  for (int i = block * shape_.threads; i < (block + 1) * shape_.threads; ++i) lanes_[static_cast<std::size_t>(i)]->state = State::ready;
  spread(block * shape_.threads, (block + 1) * shape_.threads);
}

/// Names a lane that waits and one that it waits for.
void Cluster::stuck() {
  // The lane that waits for the smallest group is nearest to the mistake.
  for (const auto state : {State::atShuffle, State::atBarrier, State::atCluster}) {
    for (int i = 0; i < lanes(); ++i) {
      const auto& waiting = *lanes_[static_cast<std::size_t>(i)];
      if (waiting.state != state) continue;
      for (int k = 0; k < lanes(); ++k) {
        const auto& other = *lanes_[static_cast<std::size_t>(k)];
        if (!waiting.awaits(other) || other.state == waiting.state || other.state == State::ready) continue;
        const bool same = other.block == waiting.block;
        throw LaneFault(waiting.name() + " " + waiting.where() + " that " + (same ? "thread " + std::to_string(other.thread) : other.name()) +
                        " never reaches: it " + other.where());
      }
    }
  }
  throw LaneFault("the lanes of a block no longer agree");
}

void Cluster::enter(void* data) {
  auto* lane = static_cast<Lane*>(data);
  lane->owner->kernel_(lane->owner->arguments_, lane);
}

/// The lane behind the constant pointer that the kernel has.
Cluster::Lane& Cluster::own(const LosscLane* lane) { return *const_cast<Lane*>(static_cast<const Lane*>(lane)); }

void Cluster::suspend(Lane& lane, State state) {
  lane.state = state;
  lane.fiber.suspend();
}

/// Records a fault and leaves the lane. An exception cannot pass through a kernel.
void Cluster::fail(Lane& lane, const std::string& what) {
  fault_ = lane.name() + " " + what;
  lane.fiber.suspend();
}

void Cluster::barrier(const LosscLane* seen) {
  auto& lane = own(seen);
  lane.owner->suspend(lane, State::atBarrier);
  ++lane.standing.now.barriers;
  ++lane.standing.now.warp;
}

unsigned Cluster::shuffle(const LosscLane* seen, unsigned value, int source, int lanes) {
  auto& lane = own(seen);
  if (lanes < 1 || lanes > warpSize || warpSize % lanes != 0) lane.owner->fail(lane, "shuffles among " + std::to_string(lanes) + " lanes");
  lane.value = value;
  lane.source = source;
  lane.among = lanes;
  lane.owner->suspend(lane, State::atShuffle);
  ++lane.standing.now.warp;
  return lane.value;
}

void Cluster::arrive(const LosscLane* seen) {
  auto& lane = own(seen);
  auto& cluster = *lane.owner;
  if (lane.standing.now.arrivals != lane.standing.now.waits) cluster.fail(lane, "arrives twice at a barrier of the cluster without waiting for it");
  ++lane.standing.now.arrivals;
  if (++cluster.arrived_ < cluster.lanes()) return;
  cluster.arrived_ = 0;
  ++cluster.completed_;
  cluster.spread(0, cluster.lanes());
}

void Cluster::wait(const LosscLane* seen) {
  auto& lane = own(seen);
  if (lane.standing.now.arrivals == lane.standing.now.waits) lane.owner->fail(lane, "waits for a barrier of the cluster at which it has not arrived");
  lane.owner->suspend(lane, State::atCluster);
  ++lane.standing.now.waits;
  ++lane.standing.now.warp;
}

void* Cluster::remote(const LosscLane* seen, void* mine, int rank) {
  auto& lane = own(seen);
  auto& cluster = *lane.owner;
  if (rank < 0 || rank >= lane.cluster)
    cluster.fail(lane, "writes to block " + std::to_string(rank) + " of a cluster of " + std::to_string(lane.cluster));
  const auto offset = static_cast<unsigned char*>(mine) - static_cast<unsigned char*>(lane.shared);
  if (offset < 0 || static_cast<std::size_t>(offset) >= cluster.stride_) cluster.fail(lane, "names a place that is not in its block's shared memory");
  // Shared memory lives as long as its block. A late write would go to another block's memory.
  const auto begin = cluster.warps_.begin() + rank * cluster.warpsOfBlock();
  if (std::all_of(begin, begin + cluster.warpsOfBlock(), [](State state) { return state == State::returned; }))
    cluster.fail(lane, "writes into the shared memory of block " + std::to_string(lane.block - lane.rank + rank) + ", which has returned");
  return cluster.shared_.get() + cluster.stride_ * static_cast<std::size_t>(rank) + offset;
}

/// Copies happen as late as possible, so that a missing wait shows. In a seeded order, some happen at once.
void Cluster::copy(const LosscLane* seen, void* shared, const void* global, int bytes) {
  auto& lane = own(seen);
  const auto aligned = [bytes](const void* address) { return reinterpret_cast<std::uintptr_t>(address) % static_cast<std::size_t>(bytes) == 0; };
  if ((bytes != 4 && bytes != 8 && bytes != 16) || !aligned(shared) || !aligned(global))
    lane.owner->fail(lane, "copies " + std::to_string(bytes) + " bytes from or to a place that is not aligned to them");
  auto& cluster = *lane.owner;
  cluster.check(lane, global, bytes, Touch::read);
  cluster.check(lane, shared, bytes, Touch::write);
  if (cluster.races_ != nullptr) cluster.races_->reserve(shared, bytes, true);
  const bool landed = cluster.draws_->chance();
  if (landed) land({shared, global, bytes, landed});
  lane.copies.push_back({shared, global, bytes, landed});
}

void Cluster::copiesDone(const LosscLane* seen) {
  auto& lane = own(seen);
  auto& cluster = *lane.owner;
  for (const auto& copy : lane.copies) {
    if (!copy.landed) land(copy);
    if (cluster.races_ == nullptr) continue;
    // The copy went on until now, so only accesses after this point are ordered after it.
    cluster.races_->reserve(copy.to, copy.bytes, false);
    cluster.check(lane, copy.to, copy.bytes, Touch::write);
    cluster.check(lane, copy.from, copy.bytes, Touch::read);
  }
  lane.copies.clear();
}

void Cluster::touch(const void* address, int bytes, int how) {
  // Devices share one binary. It reports accesses of all of them; those without race checks ignore the report.
  if (watching != nullptr) watching->check(*watching->current_, address, bytes, static_cast<Touch>(how));
}

void Cluster::check(Lane& lane, const void* address, int bytes, Touch how) {
  if (races_ == nullptr) return;
  const auto* place = static_cast<const unsigned char*>(address);
  if (how == Touch::write)
    for (const auto& copy : lane.copies)
      if (const auto* from = static_cast<const unsigned char*>(copy.from); from < place + bytes && place < from + copy.bytes && place != copy.to)
        fail(lane, "writes over what it is still copying");
  const auto wrong = races_->access(lane.standing, address, bytes, how);
  if (wrong.empty()) return;
  fault_ = wrong;
  lane.fiber.suspend();
}

/// All lanes that meet acquire the positions that any of them has acquired.
void Cluster::spread(int begin, int end) {
  if (races_ == nullptr) return;
  Known all;
  for (int i = begin; i < end; ++i) all = joined(all, lanes_[static_cast<std::size_t>(i)]->standing.known);
  for (int i = begin; i < end; ++i) lanes_[static_cast<std::size_t>(i)]->standing.known = all;
}

}  // namespace lossc::emulator
