// Races: unordered accesses to one place, at least one of them a write. They are found in every order of lanes.
#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "emulator/lane.h"

namespace lossc::emulator {

/// As the prelude reports it.
enum class Touch { read = LOSSC_READ, write = LOSSC_WRITE, atomic = LOSSC_ATOMIC, fence = LOSSC_FENCE };

/// The position of a lane: how often it has met its warp and its block, arrived at and waited for barriers of its cluster, and set a fence.
struct Stamp {
  int block = 0;
  int thread = 0;
  std::uint32_t fences = 0;
  std::uint32_t warp = 0;
  std::uint32_t barriers = 0;
  std::uint32_t arrivals = 0;
  std::uint32_t waits = 0;
};

/// The positions of other lanes that a lane has acquired, by block and thread.
using Known = std::shared_ptr<const std::map<std::pair<int, int>, Stamp>>;
Known joined(const Known& a, const Known& b);

/// The state of a lane.
struct Standing {
  Stamp now;
  Known known;
  /// Seen through an atomic, and acquired by the next fence.
  Known seen;
  /// Positions that the next atomic releases.
  Known fenced;
};

class Races {
 public:
  /// A launch starts. It is ordered after everything before it.
  void begin(const std::vector<std::uint64_t>& arguments);
  /// A cluster starts, with fresh shared memory.
  void enter(int cluster, const unsigned char* shared, std::size_t bytes, std::size_t stride, int first);
  /// The race of an access; empty where there is none.
  std::string access(Standing& lane, const void* address, int bytes, Touch how);
  /// Between the first and the second call, no access to the place is allowed.
  void reserve(const void* address, int bytes, bool reserved);

  /// Distinct bytes of global memory that the launch has read and written.
  std::int64_t bytesRead() const { return bytesRead_; }
  std::int64_t bytesWritten() const { return bytesWritten_; }

 private:
  /// Lanes of one warp that have read at one position of the warp.
  struct Readers {
    Stamp at;
    std::uint32_t lanes;
  };
  /// Two bytes, the smallest access of a kernel.
  struct Cell {
    Stamp writer;
    std::vector<Readers> readers;
    bool written = false, atomic = false, reserved = false, everRead = false, everWritten = false;
  };
  static constexpr std::size_t cellBytes = 2;
  static constexpr std::size_t pageBytes = 1024;
  struct Page {
    Cell cells[pageBytes / cellBytes];
  };

  bool isShared(std::uintptr_t address) const { return address >= shared_ && address < shared_ + sharedBytes_; }
  Cell& cell(std::uintptr_t address);
  bool covers(const Stamp& view, const Stamp& at) const;
  bool before(const Stamp& at, const Standing& lane) const;
  void fence(Standing& lane) const;
  std::string describe(const Standing& lane, Touch how, std::uintptr_t address, const Stamp& other, bool wrote) const;
  std::string place(std::uintptr_t address) const;

  int cluster_ = 1;
  int first_ = 0;
  std::uintptr_t shared_ = 0;
  std::size_t sharedBytes_ = 0;
  std::size_t stride_ = 1;
  std::vector<Cell> sharedCells_;
  std::unordered_map<std::uintptr_t, std::unique_ptr<Page>> pages_;
  std::unordered_map<std::uintptr_t, Known> released_;
  std::vector<std::uint64_t> arguments_;
  std::int64_t bytesRead_ = 0;
  std::int64_t bytesWritten_ = 0;
};

}  // namespace lossc::emulator
