// Kernels in a cubin.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/program.h"
#include "cuda/gpu.h"

namespace lossc::cuda {

class GpuModule : public lossc::Module {
 public:
  GpuModule(std::shared_ptr<Gpu> gpu, const std::vector<unsigned char>& image);
  ~GpuModule() override;

  /// USAGE for a name that the cubin does not have. On the device's thread with its context current.
  void require(const std::string& name) { find(name); }
  /// The entry point, prepared for launches with so many bytes of shared memory. Called like `require`.
  Function kernel(const std::string& name, int shared);

 private:
  struct Kernel {
    Function function;
    /// Bytes of shared memory that it is prepared for.
    int shared;
    /// Whether the preferred carve-out was set for it.
    bool carved;
  };

  Kernel& find(const std::string& name);

  std::shared_ptr<Gpu> gpu_;
  ModuleHandle module_ = nullptr;
  std::unordered_map<std::string, Kernel> kernels_;
};

}  // namespace lossc::cuda
