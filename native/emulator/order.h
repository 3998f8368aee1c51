// The order in which lanes take turns. A missing barrier shows in some orders only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace lossc::emulator {

struct Order {
  enum class Kind { forward, reverse, seeded };
  Kind kind = Kind::forward;
  std::uint64_t seed = 0;
};

/// Random draws of one block. They follow from the seed and the block's index, not from the thread that runs the block.
class Turns {
 public:
  Turns(Order order, long long block) : kind_(order.kind), state_(order.seed * 0x9e3779b97f4a7c15u + static_cast<std::uint64_t>(block) + 1) {}

  /// The next of `count` candidates, which are in rising order.
  std::size_t pick(std::size_t count) {
    if (kind_ == Order::Kind::forward) return 0;
    if (kind_ == Order::Kind::reverse) return count - 1;
    return static_cast<std::size_t>(next() % count);
  }

  /// A random bit; always false in an order without a seed.
  bool chance() { return kind_ == Order::Kind::seeded && next() % 2 == 0; }

  /// Puts the items into the order of their turns.
  void arrange(std::vector<int>& items) {
    std::iota(items.begin(), items.end(), 0);
    if (kind_ == Order::Kind::reverse) std::reverse(items.begin(), items.end());
    if (kind_ != Order::Kind::seeded) return;
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[next() % i]);
  }

 private:
  /// splitmix64: a good spread from any seed, small ones included.
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  Order::Kind kind_;
  std::uint64_t state_;
};

}  // namespace lossc::emulator
