#include "cuda/gpu_module.h"

namespace lossc::cuda {
namespace {

/// Shared memory that a block of any kernel may have without a request.
constexpr int sharedWithoutAsking = 48 * 1024;
/// Bytes that a block needs to exchange results of its warps. A kernel with more keeps rows in shared memory.
constexpr int sharedOfExchanges = 4 * 1024;
/// Share of a multiprocessor's memory that becomes shared memory, in per cent.
constexpr int wholeCarveout = 100;

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
    // The module was unloaded with the context.
  }
}

GpuModule::Kernel& GpuModule::find(const std::string& name) {
  if (const auto known = kernels_.find(name); known != kernels_.end()) return known->second;
  Function function = nullptr;
  const auto result = gpu_->driver.moduleGetFunction(&function, module_, name.c_str());
  if (result == notFound) throw Fault(Code::usage, "there is no kernel \"" + name + "\" in the cubin");
  gpu_->check(result, "looking for kernel " + name);
  return kernels_.emplace(name, Kernel{function, sharedWithoutAsking, false}).first->second;
}

Function GpuModule::kernel(const std::string& name, int shared) {
  auto& kernel = find(name);
  if (shared > sharedOfExchanges && !kernel.carved) {
    // The driver's default may leave room for fewer blocks than the registers do. This is a hint; results do not depend on it.
    gpu_->driver.funcSetAttribute(kernel.function, preferredSharedCarveout, wholeCarveout);
    kernel.carved = true;
  }
  if (shared > kernel.shared) {
    gpu_->check(gpu_->driver.funcSetAttribute(kernel.function, maxDynamicSharedBytes, shared),
                "asking for " + std::to_string(shared) + " bytes of shared memory for kernel " + name);
    kernel.shared = shared;
  }
  return kernel.function;
}

}  // namespace lossc::cuda
