// Zeroed memory of a GPU.
#pragma once

#include <memory>

#include "core/program.h"
#include "cuda/gpu.h"

namespace lossc::cuda {

class GpuMemory : public Allocation {
 public:
  static std::shared_ptr<GpuMemory> make(const std::shared_ptr<Gpu>& gpu, std::size_t bytes);
  GpuMemory(std::shared_ptr<Gpu> gpu, DevicePointer pointer, std::size_t bytes);
  ~GpuMemory() override;

 private:
  std::shared_ptr<Gpu> gpu_;
};

}  // namespace lossc::cuda
