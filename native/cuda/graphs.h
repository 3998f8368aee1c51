// Sequences of launches and fills, kept as CUDA graphs from their second run on. One call of the driver replays a graph.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/program.h"
#include "cuda/api.h"

namespace lossc::cuda {

class Gpu;

/// The graphs of one GPU. Sequences that differ in one bit, such as a scalar of a config, are different graphs. Updating the arguments of a graph
/// would pay only where scalars change from call to call. Such calls are not slower than without graphs, since a sequence that is seen once is not
/// recorded.
class Graphs {
 public:
  explicit Graphs(const Gpu& gpu) : gpu_(gpu) {}
  Graphs(const Graphs&) = delete;
  Graphs& operator=(const Graphs&) = delete;

  using Commands = std::vector<const Command*>;
  /// Submits fills and launches to a stream.
  using Submit = std::function<void(Stream stream)>;

  /// Replays fills and launches in the stream of the GPU. False where they must be submitted one by one, for example on their first run.
  /// On the device's thread with its context current.
  bool replay(const Commands& commands, const Submit& submit);
  /// Destroys every graph with a kernel of the module, before the module is unloaded. With the context current.
  void forget(const lossc::Module* module);
  /// With the context current. Graphs of a lost context no longer exist.
  void close();

 private:
  struct Entry {
    std::string content;
    std::set<const lossc::Module*> modules;
    GraphExec exec;
  };

  static constexpr int firstPause = 100;
  static constexpr int longestPause = 1 << 20;

  bool seenBefore(std::size_t hash);
  GraphExec record(const Submit& submit);
  bool refused(Result result, const char* operation);

  const Gpu& gpu_;
  /// Modules may be unloaded on another thread.
  std::mutex mutex_;
  /// Most recently used first.
  std::list<Entry> entries_;
  /// Hashes of sequences that were seen once.
  std::deque<std::size_t> seen_;
  /// Kernels are recorded in a separate stream. In the GPU's own stream, work that other threads submit would be recorded too.
  Stream stream_ = nullptr;
  /// Back-off after a driver failed to make a graph: replays still to skip, and how many to skip after the next failure.
  int pause_ = 0;
  int nextPause_ = firstPause;
};

}  // namespace lossc::cuda
