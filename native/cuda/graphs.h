// Launches and fills that were seen before, kept as CUDA graphs: one call of the driver replays them.
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

/// The graphs of one GPU. What differs in one bit, be it a scalar of a config, is another graph: a graph whose arguments are exchanged would save the
/// making of a new one where scalars change from call to call, but such calls are no slower than without graphs, for what is seen only once is never recorded.
class Graphs {
 public:
  explicit Graphs(const Gpu& gpu) : gpu_(gpu) {}
  Graphs(const Graphs&) = delete;
  Graphs& operator=(const Graphs&) = delete;

  using Commands = std::vector<const Command*>;
  /// Gives fills and launches to a stream.
  using Submit = std::function<void(Stream stream)>;

  /// Replays fills and launches in the stream of the GPU; false where they have to be submitted one by one, as they are when they are seen for the first time.
  /// On the device's thread with its context current.
  bool replay(const Commands& commands, const Submit& submit);
  /// The module goes away: every graph that has a kernel of it goes first. With the context current.
  void forget(const lossc::Module* module);
  /// With the context current. A context that is lost has taken its graphs with it.
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
  /// The last one used is in front.
  std::list<Entry> entries_;
  /// Hashes of what was seen once.
  std::deque<std::size_t> seen_;
  /// Kernels are recorded in a stream of their own: in that of the GPU, what other threads submit meanwhile would become a part of the graph.
  Stream stream_ = nullptr;
  /// Replays that are not tried any more, since the driver could not make a graph; and how many after the next time that it cannot.
  int pause_ = 0;
  int nextPause_ = firstPause;
};

}  // namespace lossc::cuda
