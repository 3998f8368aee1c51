#include "cuda/gpu.h"

#include <set>

namespace lossc::cuda {
namespace {

GpuDescription describe(const Driver& driver, int ordinal) {
  int count = 0;
  driver.check(driver.deviceGetCount(&count), "counting the GPUs");
  if (ordinal >= count)
    throw Fault(Code::deviceNotFound, "there is no GPU " + std::to_string(ordinal) + ": the driver sees " + std::to_string(count));
  const auto operation = "asking for GPU " + std::to_string(ordinal);
  DeviceOrdinal device = 0;
  driver.check(driver.deviceGet(&device, ordinal), operation);
  char name[256] = "";
  int major = 0, minor = 0;
  std::size_t bytes = 0;
  driver.check(driver.deviceGetName(name, sizeof name, device), operation);
  driver.check(driver.deviceGetAttribute(&major, computeCapabilityMajor, device), operation);
  driver.check(driver.deviceGetAttribute(&minor, computeCapabilityMinor, device), operation);
  driver.check(driver.deviceTotalMem(&bytes, device), operation);
  return {ordinal, name, "sm_" + std::to_string(major * 10 + minor), bytes};
}

/// The GPUs that are open: those of one ordinal share its primary context.
struct Open {
  std::mutex mutex;
  std::set<const Gpu*> gpus;
};

Open& open() {
  static Open open;
  return open;
}

}  // namespace

std::vector<GpuDescription> listGpus() {
  const auto& driver = Driver::instance();
  int count = 0;
  driver.check(driver.deviceGetCount(&count), "counting the GPUs");
  std::vector<GpuDescription> gpus;
  for (int ordinal = 0; ordinal < count; ++ordinal) gpus.push_back(describe(driver, ordinal));
  return gpus;
}

Gpu::Gpu(int ordinal) : driver(Driver::instance()), description(describe(driver, ordinal)) {
  const auto operation = "opening GPU " + std::to_string(ordinal);
  driver.check(driver.deviceGet(&device_, ordinal), operation);
  driver.check(driver.primaryCtxRetain(&context_, device_), operation);
  try {
    restart(operation);
    const Current current(driver, context_, operation);
    driver.check(driver.streamCreate(&stream, streamNonBlocking), operation);
    const std::lock_guard lock(open().mutex);
    open().gpus.insert(this);
  } catch (...) {
    driver.primaryCtxRelease(device_);
    throw;
  }
}

Gpu::~Gpu() { close(); }

/// A context that an earlier device lost is still there as long as anything holds it. Starts it anew, and tells those who hold it.
void Gpu::restart(const std::string& operation) {
  Result state = success;
  {
    const Current current(driver, context_, operation);
    state = driver.ctxSynchronize();
  }
  if (!Driver::sticky(state)) return;
  const std::lock_guard lock(open().mutex);
  for (const auto* other : open().gpus)
    if (other->device_ == device_) other->lose("another device on it failed and it was started anew");
  driver.check(driver.primaryCtxReset(device_), operation);
}

void Gpu::lose(const std::string& reason) const {
  const std::lock_guard lock(mutex_);
  if (lost_.empty()) lost_ = reason;
}

bool Gpu::lost() const {
  const std::lock_guard lock(mutex_);
  return !lost_.empty();
}

void Gpu::close() {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
  }
  {
    const std::lock_guard lock(open().mutex);
    open().gpus.erase(this);
  }
  // What a lost context held is gone, and its handles with it.
  if (!lost() && driver.ctxPushCurrent(context_) == success) {
    driver.streamSynchronize(stream);
    graphs.close();
    driver.streamDestroy(stream);
    Context context = nullptr;
    driver.ctxPopCurrent(&context);
  }
  driver.primaryCtxRelease(device_);
}

Current Gpu::enter(const std::string& operation) const {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) throw Fault(Code::disposed, operation + ": the device has been disposed of");
    if (!lost_.empty()) throw Fault(Code::deviceFault, operation + ": the GPU's context was lost (" + lost_ + "); dispose of the device and open the device again");
  }
  return {driver, context_, operation};
}

void Gpu::check(Result result, const std::string& operation) const {
  if (result == success) return;
  const auto fault = driver.fault(result, operation);
  if (!Driver::sticky(result)) throw fault;
  lose(fault.what());
  throw Fault(Code::deviceFault, std::string(fault.what()) + "; the GPU's context is lost: dispose of the device and open the device again");
}

}  // namespace lossc::cuda
