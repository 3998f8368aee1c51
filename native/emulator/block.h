// One block of threads, run lane by lane on the thread that calls.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "emulator/fiber.h"
#include "emulator/lane.h"
#include "emulator/order.h"

namespace lossc::emulator {

/// A kernel that would hang or misbehave on a real device.
class LaneFault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Block {
 public:
  explicit Block(Order order);
  ~Block();

  /// Runs one block. May be called again and again, also after a LaneFault.
  void run(Kernel* kernel, const void* arguments, long long block, int threads);

 private:
  struct Lane;

  static void enter(void* lane);
  static void barrier(const LosscLane* lane);
  static unsigned shuffle(const LosscLane* lane, unsigned value, int source);

  int warps() const { return (threads_ + warpSize - 1) / warpSize; }
  int lanesOf(int warp) const { return std::min(warpSize, threads_ - warp * warpSize); }
  Lane& lane(int warp, int index) { return *lanes_[static_cast<std::size_t>(warp * warpSize + index)]; }
  void prepare(long long block);
  void step(int warp, Turns& turns);
  bool exchange(int warp);
  bool release();
  [[noreturn]] void stuck();

  const Order order_;
  std::unique_ptr<unsigned char[]> shared_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  /// Lanes of the warp that is being stepped, in the order of their turns.
  std::vector<int> turns_;
  Kernel* kernel_ = nullptr;
  const void* arguments_ = nullptr;
  int threads_ = 0;
};

}  // namespace lossc::emulator
