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

/// The open GPUs. Those of one ordinal share its primary context.
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
  auto result = begin();
  if (Driver::sticky(result)) {
    startAnew();
    result = begin();
    if (Driver::sticky(result))
      throw Fault(Code::deviceFault, std::string(driver.fault(result, operation).what()) +
                                         "; the GPU's context cannot be started anew: restart the process");
  }
  driver.check(result, operation);
  const std::lock_guard lock(open().mutex);
  open().gpus.insert(this);
}

Gpu::~Gpu() { close(); }

/// Retains the primary context and makes the stream in it; a failure leaves nothing retained. A context that an earlier device lost exists as long as
/// anything retains it, and each of these calls reports the loss. A synchronisation would report it too, but takes as long as the running work.
Result Gpu::begin() {
  if (const auto result = driver.primaryCtxRetain(&context_, device_); result != success) return result;
  auto result = driver.ctxPushCurrent(context_);
  if (result == success) {
    result = driver.streamCreate(&stream, streamNonBlocking);
    Context context = nullptr;
    driver.ctxPopCurrent(&context);
  }
  if (result != success) driver.primaryCtxRelease(device_);
  return result;
}

/// Marks the context as lost for all its holders, and resets it. The next one to retain it gets a new context, and an error where the reset failed.
void Gpu::startAnew() {
  const std::lock_guard lock(open().mutex);
  for (const auto* other : open().gpus)
    if (other->device_ == device_) other->lose("another device on it failed and it was started anew");
  driver.primaryCtxReset(device_);
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
  // The handles of a lost context are already invalid.
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
    if (!lost_.empty())
      throw Fault(Code::deviceFault, operation + ": the GPU's context was lost (" + lost_ + "); dispose of the device and open the device again");
  }
  return {driver, context_, operation};
}

void Gpu::check(Result result, const std::string& operation) const {
  if (result == success) return;
  const auto fault = driver.fault(result, operation);
  if (!Driver::sticky(result)) throw fault;
  lose(fault.what());
  throw Fault(Code::deviceFault, std::string(fault.what()) +
                                         "; the GPU's context is lost: dispose of the device and open the device again");
}

}  // namespace lossc::cuda
