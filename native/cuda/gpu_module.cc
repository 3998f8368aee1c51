#include "cuda/gpu_module.h"

#include <algorithm>

namespace lossc::cuda {
namespace {

/// Shared memory that a block of any kernel may have.
constexpr int sharedWithoutAsking = 48 * 1024;

}  // namespace

GpuModule::GpuModule(std::shared_ptr<Gpu> gpu, const std::vector<unsigned char>& image) : gpu_(std::move(gpu)) {
  const auto current = gpu_->enter("loading kernels");
  gpu_->check(gpu_->driver.moduleLoadData(&module_, image.data()), "loading kernels");
}

GpuModule::~GpuModule() {
  try {
    const auto current = gpu_->enter("unloading kernels");
    gpu_->graphs.forget(this);
    gpu_->driver.moduleUnload(module_);
  } catch (const Fault&) {
    // The context is gone, and the module with it.
  }
}

Function GpuModule::kernel(const std::string& name) {
  if (const auto known = kernels_.find(name); known != kernels_.end()) return known->second;
  Function function = nullptr;
  const auto result = gpu_->driver.moduleGetFunction(&function, module_, name.c_str());
  if (result == notFound) throw Fault(Code::usage, "there is no kernel \"" + name + "\" in the cubin");
  gpu_->check(result, "looking for kernel " + name);
  kernels_.emplace(name, function);
  return function;
}

Function GpuModule::kernel(const std::string& name, int shared) {
  auto* function = kernel(name);
  int& given = shared_[name];
  if (shared > std::max(given, sharedWithoutAsking)) {
    gpu_->check(gpu_->driver.funcSetAttribute(function, maxDynamicSharedBytes, shared), "asking for " + std::to_string(shared) + " bytes of shared memory for kernel " + name);
    given = shared;
  }
  return function;
}

}  // namespace lossc::cuda
