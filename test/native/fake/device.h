// The fake GPU behind fake_cuda.cc: its memory, its contexts and its streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <vector>

namespace fake {

using Result = int;

enum : Result {
  success = 0,
  invalidValue = 1,
  outOfMemory = 2,
  notInitialized = 3,
  noDevice = 100,
  invalidDevice = 101,
  invalidImage = 200,
  invalidContext = 201,
  invalidHandle = 400,
  illegalState = 401,
  notFound = 500,
  illegalAddress = 700,
  contextIsDestroyed = 709,
  launchFailed = 719,
  captureUnsupported = 900,
  captureInvalidated = 901,
};

/// Whether a context is of no more use after this result.
inline bool sticky(Result result) { return result == illegalAddress || result == contextIsDestroyed || result == launchFailed || result == 999; }

/// Device addresses are no addresses of the host: whoever mistakes one for the other crashes on the spot.
constexpr std::uint64_t shift = 0x0dee000000000000u;

/// Work that was recorded, and what it must not outlive.
struct Graph {
  std::vector<std::function<Result()>> work;
  std::set<const struct Module*> modules;
  /// JSON, for the journal.
  std::string kernels;
};

/// Work of a stream runs when the stream is synchronised, which is as late as a real GPU may run it.
struct Stream {
  std::vector<std::function<Result()>> work;
  /// The commands that are recorded instead of run.
  std::unique_ptr<Graph> recording;
  /// Something was asked for that cannot be recorded.
  bool invalid = false;
};

struct Release {
  void operator()(unsigned char* memory) const { ::operator delete(memory, std::align_val_t{256}); }
};
using Storage = std::unique_ptr<unsigned char, Release>;

struct Context {
  int device = 0;
  int retained = 0;
  /// Whoever retained it must let go: it is no good before it is retained again.
  bool reset = false;
  Result lost = success;
  std::set<Stream*> streams;
  std::set<Graph*> graphs;
  /// Graphs that can be launched.
  std::set<Graph*> executables;
  /// By device address.
  std::map<std::uint64_t, std::pair<Storage, std::size_t>> memory;

  std::size_t used() const {
    std::size_t bytes = 0;
    for (const auto& [address, entry] : memory) bytes += entry.second;
    return bytes;
  }

  /// The host's address of `bytes` bytes of device memory; null where they do not lie in one allocation.
  unsigned char* reach(std::uint64_t address, std::size_t bytes) {
    auto entry = memory.upper_bound(address);
    if (entry == memory.begin()) return nullptr;
    --entry;
    const auto offset = address - entry->first;
    if (offset > entry->second.second || bytes > entry->second.second - offset) return nullptr;
    return entry->second.first.get() + offset;
  }

  /// Aligned to 256 bytes, as a real driver's memory is; fresh memory is not zero.
  std::uint64_t allocate(std::size_t bytes) {
    Storage storage(static_cast<unsigned char*>(::operator new(bytes, std::align_val_t{256})));
    std::memset(storage.get(), 0xa5, bytes);
    const auto address = reinterpret_cast<std::uint64_t>(storage.get()) + shift;
    memory[address] = {std::move(storage), bytes};
    return address;
  }

  Result flush(Stream* stream) {
    // Results of asynchronous work come out here, and the first that fails takes the rest with it.
    auto work = std::move(stream->work);
    stream->work.clear();
    for (const auto& step : work) {
      if (lost != success) break;
      const auto result = step();
      if (result == success) continue;
      if (sticky(result)) lost = result;
      return result;
    }
    return lost;
  }
};

}  // namespace fake
