#include "emulator/block.h"

#include <cstring>

namespace lossc::emulator {

/// A lane as the kernel sees it, and where it stands.
struct Block::Lane : LosscLane {
  enum class State { ready, atBarrier, atShuffle, returned };

  Block* owner = nullptr;
  Fiber fiber;
  State state = State::ready;
  unsigned value = 0;
  int source = 0;

  const char* where() const {
    switch (state) {
      case State::ready:
        return "is running";
      case State::atBarrier:
        return "waits at a barrier of the block";
      case State::atShuffle:
        return "waits at a shuffle of its warp";
      case State::returned:
        return "has returned";
    }
    return "";
  }
};

Block::Block(Order order) : order_(order), shared_(new unsigned char[sharedBytes]) {}
Block::~Block() = default;

void Block::run(Kernel* kernel, const void* arguments, long long block, int threads) {
  kernel_ = kernel;
  arguments_ = arguments;
  threads_ = threads;
  prepare(block);
  Turns turns(order_, block);
  std::vector<int> ready;
  for (;;) {
    ready.clear();
    for (int warp = 0; warp < warps(); ++warp)
      if (lane(warp, 0).state == Lane::State::ready) ready.push_back(warp);
    if (ready.empty()) {
      if (release()) continue;
      break;
    }
    // A warp whose turn it is every time runs as far ahead of the others as the barriers allow: that is what the first and the last get.
    const int warp = ready[turns.pick(ready.size())];
    step(warp, turns);
    exchange(warp);
  }
  for (int thread = 0; thread < threads_; ++thread)
    if (lanes_[static_cast<std::size_t>(thread)]->state != Lane::State::returned) stuck();
}

void Block::prepare(long long block) {
  std::memset(shared_.get(), 0xff, sharedBytes);
  while (lanes_.size() < static_cast<std::size_t>(threads_)) lanes_.push_back(std::make_unique<Lane>());
  for (int thread = 0; thread < threads_; ++thread) {
    auto& lane = *lanes_[static_cast<std::size_t>(thread)];
    static_cast<LosscLane&>(lane) = {block, thread, threads_, shared_.get(), barrier, shuffle};
    lane.owner = this;
    lane.state = Lane::State::ready;
    lane.fiber.start(enter, &lane);
  }
}

/// Every lane of the warp runs to its next barrier or shuffle, or to its end.
void Block::step(int warp, Turns& turns) {
  turns_.resize(static_cast<std::size_t>(lanesOf(warp)));
  turns.arrange(turns_);
  for (const int index : turns_) {
    auto& current = lane(warp, index);
    if (current.state == Lane::State::ready) current.fiber.resume();
    if (current.fiber.finished()) current.state = Lane::State::returned;
  }
}

/// Where the whole warp waits at a shuffle, hands the values over and lets it go on. A warp that is torn apart is stuck.
bool Block::exchange(int warp) {
  const auto state = lane(warp, 0).state;
  for (int index = 1; index < lanesOf(warp); ++index)
    if (lane(warp, index).state != state) stuck();
  if (state != Lane::State::atShuffle) return false;
  unsigned values[warpSize];
  for (int index = 0; index < lanesOf(warp); ++index) {
    const auto& reader = lane(warp, index);
    if (reader.source < 0 || reader.source >= lanesOf(warp))
      throw LaneFault("thread " + std::to_string(reader.thread) + " of block " + std::to_string(reader.block) + " shuffles from lane " +
                      std::to_string(reader.source) + ", which its warp of " + std::to_string(lanesOf(warp)) + " lanes does not have");
    values[index] = lane(warp, reader.source).value;
  }
  for (int index = 0; index < lanesOf(warp); ++index) {
    lane(warp, index).value = values[index];
    lane(warp, index).state = Lane::State::ready;
  }
  return true;
}

/// Where the whole block waits at a barrier, lets it go on.
bool Block::release() {
  for (int thread = 0; thread < threads_; ++thread)
    if (lanes_[static_cast<std::size_t>(thread)]->state != Lane::State::atBarrier) return false;
  for (int thread = 0; thread < threads_; ++thread) lanes_[static_cast<std::size_t>(thread)]->state = Lane::State::ready;
  return true;
}

/// Names a lane that waits and one that it waits for.
void Block::stuck() {
  const Lane* waiting = nullptr;
  for (int thread = 0; thread < threads_ && waiting == nullptr; ++thread) {
    const auto* candidate = lanes_[static_cast<std::size_t>(thread)].get();
    if (candidate->state == Lane::State::atBarrier || candidate->state == Lane::State::atShuffle) waiting = candidate;
  }
  const Lane* other = nullptr;
  for (int thread = 0; thread < threads_ && waiting != nullptr && other == nullptr; ++thread) {
    const auto* candidate = lanes_[static_cast<std::size_t>(thread)].get();
    const bool awaited = waiting->state == Lane::State::atBarrier || candidate->thread / warpSize == waiting->thread / warpSize;
    if (awaited && candidate->state != waiting->state && candidate->state != Lane::State::ready) other = candidate;
  }
  if (waiting == nullptr || other == nullptr) throw LaneFault("the lanes of a block no longer agree");
  throw LaneFault("thread " + std::to_string(waiting->thread) + " of block " + std::to_string(waiting->block) + " " + waiting->where() +
                  " that thread " + std::to_string(other->thread) + " never reaches: it " + other->where());
}

void Block::enter(void* data) {
  auto* lane = static_cast<Lane*>(data);
  lane->owner->kernel_(lane->owner->arguments_, lane);
}

void Block::barrier(const LosscLane* seen) {
  // The kernel is shown a constant lane; it is one of ours.
  auto* lane = const_cast<Lane*>(static_cast<const Lane*>(seen));
  lane->state = Lane::State::atBarrier;
  lane->fiber.suspend();
}

unsigned Block::shuffle(const LosscLane* seen, unsigned value, int source) {
  auto* lane = const_cast<Lane*>(static_cast<const Lane*>(seen));
  lane->value = value;
  lane->source = source;
  lane->state = Lane::State::atShuffle;
  lane->fiber.suspend();
  return lane->value;
}

}  // namespace lossc::emulator
