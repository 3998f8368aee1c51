// One GPU: its description, its primary context and the stream that lossc works on.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "cuda/driver.h"
#include "cuda/graphs.h"

namespace lossc::cuda {

struct GpuDescription {
  int ordinal;
  std::string name;
  std::string architecture;  // sm_90
  std::size_t memoryBytes;
};

/// DEVICE_NOT_FOUND where there is no driver.
std::vector<GpuDescription> listGpus();

class Gpu {
 public:
  /// DEVICE_NOT_FOUND where there is no driver or no such GPU.
  explicit Gpu(int ordinal);
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;
  ~Gpu();

  /// Waits for running work and releases the context. Memory and modules are freed with it, unless others in the process retain it too.
  void close();
  /// Makes the context current. DEVICE_FAULT where it has been lost.
  Current enter(const std::string& operation) const;
  /// Throws unless the result is a success, and records the loss of the context.
  void check(Result result, const std::string& operation) const;
  void synchronize(const std::string& operation) const { check(driver.streamSynchronize(stream), operation); }

  const Driver& driver;
  const GpuDescription description;
  Stream stream = nullptr;
  Graphs graphs{*this};

 private:
  Result begin();
  void startAnew();
  void lose(const std::string& reason) const;
  bool lost() const;

  DeviceOrdinal device_ = 0;
  Context context_ = nullptr;
  mutable std::mutex mutex_;
  /// The error that lost the context; empty while it works.
  mutable std::string lost_;
  bool closed_ = false;
};

}  // namespace lossc::cuda
