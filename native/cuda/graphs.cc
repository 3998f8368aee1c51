#include "cuda/graphs.h"

#include <algorithm>
#include <functional>

#include "cuda/gpu.h"

namespace lossc::cuda {
namespace {

/// Number of graphs that are kept, and of hashes of sequences that were seen once. A longer rotation is never recorded, rather than over and over.
constexpr std::size_t kept = 16;

template <typename Value>
void append(std::string& content, const Value& value) {
  content.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// The bits that a graph of the commands depends on.
std::string contentOf(const Graphs::Commands& commands) {
  std::string content;
  for (const auto* command : commands) {
    append(content, command->index());
    if (const auto* fill = std::get_if<Fill>(command)) {
      append(content, fill->to);
      append(content, fill->bytes);
      append(content, fill->value);
    } else if (const auto* launch = std::get_if<Launch>(command)) {
      append(content, launch->module.get());
      append(content, launch->kernel.size());
      content += launch->kernel;
      append(content, launch->blocks());
      append(content, launch->block);
      append(content, launch->shared);
      append(content, launch->arguments.size());
      content.append(reinterpret_cast<const char*>(launch->arguments.data()), launch->arguments.size() * sizeof(launch->arguments[0]));
    }
  }
  return content;
}

std::set<const lossc::Module*> modulesOf(const Graphs::Commands& commands) {
  std::set<const lossc::Module*> modules;
  for (const auto* command : commands)
    if (const auto* launch = std::get_if<Launch>(command)) modules.insert(launch->module.get());
  return modules;
}

}  // namespace

bool Graphs::replay(const Commands& commands, const Submit& submit) {
  const std::lock_guard lock(mutex_);
  if (!gpu_.driver.hasGraphs()) return false;
  if (pause_ > 0) {
    --pause_;
    return false;
  }
  auto content = contentOf(commands);
  auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.content == content; });
  if (known == entries_.end()) {
    if (!seenBefore(std::hash<std::string>{}(content))) return false;
    auto* exec = record(submit);
    if (exec == nullptr) return false;
    nextPause_ = firstPause;
    if (entries_.size() == kept) {
      gpu_.driver.graphExecDestroy(entries_.back().exec);
      entries_.pop_back();
    }
    entries_.push_front({std::move(content), modulesOf(commands), exec});
  } else {
    entries_.splice(entries_.begin(), entries_, known);
  }
  gpu_.check(gpu_.driver.graphLaunch(entries_.front().exec, gpu_.stream), "launching kernels as a graph");
  return true;
}

/// Whether a sequence is seen for the second time. Its hash is then removed, since the sequence will be recorded.
bool Graphs::seenBefore(std::size_t hash) {
  if (const auto found = std::find(seen_.begin(), seen_.end(), hash); found != seen_.end()) {
    seen_.erase(found);
    return true;
  }
  seen_.push_back(hash);
  if (seen_.size() > kept) seen_.pop_front();
  return false;
}

/// Null where the driver fails. Nothing has been launched then.
GraphExec Graphs::record(const Submit& submit) {
  const auto& driver = gpu_.driver;
  if (stream_ == nullptr && refused(driver.streamCreate(&stream_, streamNonBlocking), "making a stream")) return nullptr;
  if (refused(driver.streamBeginCapture(stream_, captureThreadLocal), "beginning a graph")) return nullptr;
  bool submitted = true;
  try {
    submit(stream_);
  } catch (...) {
    // A wrong command is reported when the commands are submitted one by one. The capture must be ended in any case.
    submitted = false;
  }
  Graph graph = nullptr;
  const auto ended = driver.streamEndCapture(stream_, &graph);
  GraphExec exec = nullptr;
  const auto made = submitted && ended == success ? driver.graphInstantiate(&exec, graph, 0) : success;
  if (graph != nullptr) driver.graphDestroy(graph);
  return !submitted || refused(ended, "ending a graph") || refused(made, "making a graph") ? nullptr : exec;
}

/// A failure to make a graph is no error, unless the context is lost. The driver may be short of memory, so later calls try again, at growing
/// intervals.
bool Graphs::refused(Result result, const char* operation) {
  if (Driver::sticky(result)) gpu_.check(result, operation);
  if (result == success) return false;
  pause_ = nextPause_;
  nextPause_ = std::min(2 * nextPause_, longestPause);
  return true;
}

void Graphs::forget(const lossc::Module* module) {
  const std::lock_guard lock(mutex_);
  entries_.remove_if([&](const Entry& entry) {
    if (entry.modules.count(module) == 0) return false;
    gpu_.driver.graphExecDestroy(entry.exec);
    return true;
  });
  // A later module may get the same address.
  seen_.clear();
}

void Graphs::close() {
  const std::lock_guard lock(mutex_);
  for (const auto& entry : entries_) gpu_.driver.graphExecDestroy(entry.exec);
  entries_.clear();
  if (stream_ != nullptr) gpu_.driver.streamDestroy(stream_);
  stream_ = nullptr;
}

}  // namespace lossc::cuda
