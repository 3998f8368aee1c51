// The state of the fake driver.
#pragma once

#include "kernels.h"

namespace fake {

/// One big lock: a driver is called from several threads.
inline std::recursive_mutex lock;
inline bool initialised = false;
inline std::map<int, std::unique_ptr<Context>> contexts;
inline std::set<Module*> modules;
/// The stack of current contexts of this thread, the innermost last.
inline thread_local std::vector<Context*> stack;

inline int deviceCount() {
  const auto count = environment("LOSSC_FAKE_DEVICES");
  return count.empty() ? 1 : std::atoi(count.c_str());
}

inline std::size_t totalMemory() {
  const auto bytes = environment("LOSSC_FAKE_MEMORY");
  return bytes.empty() ? std::size_t{1} << 30 : std::strtoull(bytes.c_str(), nullptr, 10);
}

inline bool alive(const Context* context) {
  for (const auto& [device, known] : contexts)
    if (known.get() == context && known->retained > 0) return true;
  return false;
}

/// The current context, or why there is none.
inline Context* current(Result& result) {
  result = !initialised ? notInitialized : stack.empty() ? invalidContext : !alive(stack.back()) || stack.back()->reset ? contextIsDestroyed : stack.back()->lost;
  return result == success ? stack.back() : nullptr;
}

/// A stream of another time would be a dangling pointer to a real driver.
inline Result stale(const char* call) {
  journal("staleHandle", "\"in\":" + quoted(call));
  return invalidHandle;
}

/// The stream that this thread records in; until it has ended the thread must not do what would have to wait for the GPU.
inline thread_local Stream* recording = nullptr;

inline Result notWhileRecording() {
  recording->invalid = true;
  return captureUnsupported;
}

inline Result enqueue(Context& context, Stream* stream, std::function<Result()> step) {
  if (context.streams.count(stream) == 0) return stale("enqueue");
  if (stream->recording != nullptr) {
    stream->recording->work.push_back(std::move(step));
    return success;
  }
  stream->work.push_back(std::move(step));
  return success;
}

}  // namespace fake

#define API extern "C" __attribute__((visibility("default")))
#define INJECT(call)                                          \
  const std::lock_guard guard(lock);                          \
  if (const int wanted = injected(call); wanted != success) { \
    journal(call, "\"injected\":" + std::to_string(wanted));  \
    return wanted;                                            \
  }
#define NOT_WHILE_RECORDING() \
  if (recording != nullptr) return notWhileRecording()
#define CURRENT(context)                    \
  Result contextResult = success;           \
  auto* context = current(contextResult);   \
  if (context == nullptr) return contextResult
