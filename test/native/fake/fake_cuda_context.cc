// The fake driver's devices and contexts.
#include "state.h"

using namespace fake;

API Result cuInit(unsigned) {
  INJECT("cuInit")
  if (deviceCount() == 0) return noDevice;
  initialised = true;
  return success;
}

API Result cuDriverGetVersion(int* version) {
  const auto wanted = environment("LOSSC_FAKE_DRIVER");
  *version = wanted.empty() ? 13000 : std::atoi(wanted.c_str());
  return success;
}

API Result cuDeviceGetCount(int* count) {
  INJECT("cuDeviceGetCount")
  if (!initialised) return notInitialized;
  *count = deviceCount();
  return success;
}

API Result cuDeviceGet(int* device, int ordinal) {
  INJECT("cuDeviceGet")
  if (ordinal < 0 || ordinal >= deviceCount()) return invalidDevice;
  *device = ordinal;
  return success;
}

API Result cuDeviceGetName(char* name, int length, int device) {
  std::snprintf(name, static_cast<std::size_t>(length), "Fake GPU %d", device);
  return success;
}

API Result cuDeviceGetAttribute(int* value, int attribute, int) {
  constexpr int major = 75, minor = 76;
  const auto wanted = environment("LOSSC_FAKE_ARCHITECTURE");
  const int architecture = wanted.empty() ? 90 : std::atoi(wanted.c_str());
  *value = attribute == major ? architecture / 10 : attribute == minor ? architecture % 10 : 1;
  return success;
}

API Result cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = totalMemory();
  return success;
}

API Result cuDevicePrimaryCtxRetain(Context** context, int device) {
  INJECT("cuDevicePrimaryCtxRetain")
  if (!initialised) return notInitialized;
  auto& slot = contexts[device];
  if (slot == nullptr || slot->retained == 0) slot = std::make_unique<Context>();
  slot->device = device;
  slot->reset = false;
  ++slot->retained;
  *context = slot.get();
  journal("cuDevicePrimaryCtxRetain", "\"retained\":" + std::to_string(slot->retained));
  return success;
}

API Result cuDevicePrimaryCtxRelease_v2(int device) {
  INJECT("cuDevicePrimaryCtxRelease_v2")
  auto& context = contexts[device];
  if (context == nullptr || context->retained == 0) return invalidContext;
  if (--context->retained == 0) {
    journal("contextEnds", "\"allocations\":" + std::to_string(context->memory.size()) + ",\"streams\":" + std::to_string(context->streams.size()) +
                               ",\"graphs\":" + std::to_string(context->graphs.size() + context->executables.size()));
    context->memory.clear();
  }
  return success;
}

API Result cuDevicePrimaryCtxReset_v2(int device) {
  INJECT("cuDevicePrimaryCtxReset_v2")
  auto& context = contexts[device];
  if (context == nullptr) return invalidContext;
  journal("cuDevicePrimaryCtxReset_v2");
  context->lost = success;
  context->reset = true;
  context->memory.clear();
  context->streams.clear();
  context->graphs.clear();
  context->executables.clear();
  return success;
}

API Result cuCtxPushCurrent_v2(Context* context) {
  INJECT("cuCtxPushCurrent_v2")
  if (!alive(context)) return invalidContext;
  if (context->reset) return contextIsDestroyed;
  stack.push_back(context);
  return success;
}

API Result cuCtxPopCurrent_v2(Context** context) {
  const std::lock_guard guard(lock);
  if (stack.empty()) return invalidContext;
  *context = stack.back();
  stack.pop_back();
  return success;
}
