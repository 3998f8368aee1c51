#include "cuda/gpu_memory.h"

namespace lossc::cuda {

std::shared_ptr<GpuMemory> GpuMemory::make(const std::shared_ptr<Gpu>& gpu, std::size_t bytes) {
  const auto operation = "allocating " + std::to_string(bytes) + " bytes on " + gpu->description.name;
  const auto current = gpu->enter(operation);
  DevicePointer pointer = 0;
  gpu->check(gpu->driver.memAlloc(&pointer, bytes == 0 ? 1 : bytes), operation);
  auto memory = std::make_shared<GpuMemory>(gpu, pointer, bytes);
  // The fill is in the stream, hence before every program that could read the memory.
  if (bytes > 0) gpu->check(gpu->driver.memsetD8Async(pointer, 0, bytes, gpu->stream), operation);
  return memory;
}

GpuMemory::GpuMemory(std::shared_ptr<Gpu> gpu, DevicePointer pointer, std::size_t bytes)
    : Allocation(static_cast<std::uintptr_t>(pointer), bytes), gpu_(std::move(gpu)) {}

GpuMemory::~GpuMemory() {
  try {
    const auto current = gpu_->enter("freeing memory");
    gpu_->driver.memFree(address);
  } catch (const Fault&) {
    // The memory was freed with the context.
  }
}

}  // namespace lossc::cuda
