// The lanes of a cluster: blocks of up to 1024 threads, run lane by lane on the calling thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "emulator/fiber.h"
#include "emulator/lane.h"
#include "emulator/order.h"
#include "emulator/races.h"

namespace lossc::emulator {

/// The error of a kernel that would hang or misbehave on a real device.
class LaneFault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Shape {
  int threads;      // of a block
  int cluster = 1;  // blocks
  int shared = 0;   // bytes that a block has
};

class Cluster {
 public:
  /// With `races`, every access is checked. Then only one cluster may run at a time.
  explicit Cluster(Order order, Races* races = nullptr);
  ~Cluster();

  /// Runs the cluster whose blocks begin at `first`. May be called repeatedly, also after a LaneFault.
  void run(Kernel* kernel, const void* arguments, long long first, const Shape& shape);

 private:
  enum class State { ready, atBarrier, atCluster, atShuffle, returned };
  struct Lane;
  struct Memory {
    void operator()(unsigned char* memory) const;
  };

  static void enter(void* lane);
  static Lane& own(const LosscLane* lane);
  static void barrier(const LosscLane* lane);
  static unsigned shuffle(const LosscLane* lane, unsigned value, int source, int lanes);
  static void arrive(const LosscLane* lane);
  static void wait(const LosscLane* lane);
  static void* remote(const LosscLane* lane, void* mine, int rank);
  static void copy(const LosscLane* lane, void* shared, const void* global, int bytes);
  static void copiesDone(const LosscLane* lane);
  static void touch(const void* address, int bytes, int how);
  void check(Lane& lane, const void* address, int bytes, Touch how);
  void spread(int begin, int end);

  int warpsOfBlock() const { return (shape_.threads + warpSize - 1) / warpSize; }
  int lanesOf(int warp) const { return std::min(warpSize, shape_.threads - warp % warpsOfBlock() * warpSize); }
  int lanes() const { return shape_.threads * shape_.cluster; }
  /// Warps are numbered across all blocks of the cluster.
  Lane& lane(int warp, int index) {
    return *lanes_[static_cast<std::size_t>(warp / warpsOfBlock() * shape_.threads + warp % warpsOfBlock() * warpSize + index)];
  }
  void prepare(long long first);
  void step(int warp, Turns& turns);
  void settle(int warp);
  bool exchange(int warp);
  void release(int block);
  void checkGuards() const;
  [[noreturn]] void stuck();
  void suspend(Lane& lane, State state);
  void fail(Lane& lane, const std::string& what);

  const Order order_;
  Races* const races_;
  Lane* current_ = nullptr;
  Shape shape_{};
  /// Shared memory of all blocks, `stride_` bytes apart.
  std::unique_ptr<unsigned char, Memory> shared_;
  std::size_t sharedBytes_ = 0;
  std::size_t stride_ = 0;
  std::vector<std::unique_ptr<Lane>> lanes_;
  /// The state of every warp, which all of its lanes share between two steps.
  std::vector<State> warps_;
  /// Lanes of the current warp, in the order of their turns.
  std::vector<int> turns_;
  /// Completed barriers of the cluster, and lanes that have arrived at the next.
  std::int64_t completed_ = 0;
  int arrived_ = 0;
  /// The error of a lane.
  std::string fault_;
  Turns* draws_ = nullptr;
  Kernel* kernel_ = nullptr;
  const void* arguments_ = nullptr;
};

}  // namespace lossc::emulator
