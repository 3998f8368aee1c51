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

  /// The entry point; a name that the cubin does not have is USAGE. On the device's thread with its context current.
  Function kernel(const std::string& name);
  /// The same, allowed to be launched with so many bytes of shared memory.
  Function kernel(const std::string& name, int shared);

 private:
  std::shared_ptr<Gpu> gpu_;
  ModuleHandle module_ = nullptr;
  std::unordered_map<std::string, Function> kernels_;
  /// Bytes that have been asked for.
  std::unordered_map<std::string, int> shared_;
};

}  // namespace lossc::cuda
