// The interface of a kind of device. Everything but `allocate` is called on the one thread of the device (js/worker.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/program.h"

namespace lossc {

/// The bytes of a shared object or a cubin.
using Binary = std::vector<unsigned char>;

struct Description {
  std::string kind;
  std::string name;
  std::string architecture;
  /// Whether addresses of host memory are addresses of the device.
  bool hostMemory;
  int threads;
};

class Backend {
 public:
  explicit Backend(Description description) : description(std::move(description)) {}
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  /// Zeroed, aligned to memoryAlignment. On the JavaScript thread.
  virtual std::shared_ptr<Allocation> allocate(std::size_t bytes) = 0;
  virtual std::shared_ptr<Module> load(const Binary& binary) = 0;
  virtual void run(Program& program, const Interrupt& interrupt) = 0;
  /// The last call. Every allocation and module has been freed before it.
  virtual void close() {}

  /// Constant once the device is made.
  Description description;
  std::atomic<std::int64_t> launches{0};
  /// Distinct bytes that launches have read and written. Only a device that checks its kernels for races counts them.
  std::atomic<std::int64_t> bytesRead{0};
  std::atomic<std::int64_t> bytesWritten{0};
};

}  // namespace lossc
