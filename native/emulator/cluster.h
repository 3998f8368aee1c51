// The blocks of one cluster, run lane by lane on the thread that calls.
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

class Cluster {
 public:
  explicit Cluster(Order order);
  ~Cluster();

  /// Runs the blocks from `first` on. May be called again and again, also after a LaneFault.
  void run(Kernel* kernel, const void* arguments, long long first, Shape shape);

 private:
  struct Lane;

  static void enter(void* lane);
  static void barrier(const LosscLane* lane);
  static unsigned shuffle(const LosscLane* lane, unsigned value, int source, int lanes);
  static void arrive(const LosscLane* lane);
  static void wait(const LosscLane* lane);
  static void* remote(const LosscLane* lane, void* mine, int rank);
  static void copy(const LosscLane* lane, void* shared, const void* global, int bytes);
  static void copied(const LosscLane* lane);

  int warpsPerBlock() const { return (shape_.threads + warpSize - 1) / warpSize; }
  int warps() const { return warpsPerBlock() * shape_.cluster; }
  int lanesOf(int warp) const { return std::min(warpSize, shape_.threads - warp % warpsPerBlock() * warpSize); }
  Lane& lane(int warp, int index) {
    return *lanes_[static_cast<std::size_t>(warp / warpsPerBlock() * shape_.threads + warp % warpsPerBlock() * warpSize + index)];
  }
  int count() const { return shape_.threads * shape_.cluster; }
  unsigned char* sharedOf(int rank) { return shared_.data() + static_cast<std::size_t>(rank) * static_cast<std::size_t>(shape_.shared); }
  void prepare(long long first);
  bool ready(int warp);
  void step(int warp, Turns& turns);
  void exchange(int warp);
  bool release();
  [[noreturn]] void stuck();

  const Order order_;
  std::vector<unsigned char> shared_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  /// Lanes of the warp that is being stepped, in the order of their turns.
  std::vector<int> turns_;
  Kernel* kernel_ = nullptr;
  const void* arguments_ = nullptr;
  Shape shape_{};
};

}  // namespace lossc::emulator
