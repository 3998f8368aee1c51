// A libcuda without a GPU. Memory lies on the host under addresses that the host cannot read; a "cubin" is a shared object of kernels for the emulated
// prelude, and a launch runs it through the emulator, in the order of lanes $LOSSC_FAKE_ORDER. Misuse that a real driver would punish is refused.
#include <dlfcn.h>
#include <elf.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "device.h"
#include "emulator/block.h"
#include "journal.h"

using namespace fake;

namespace {

struct Module {
  void* handle;
  std::vector<std::unique_ptr<struct Function>> functions;
};

struct Function {
  std::string name;
  lossc::emulator::Kernel* kernel;
  Module* module;
};

/// One big lock: a driver is called from several threads.
std::recursive_mutex lock;
bool initialised = false;
std::map<int, std::unique_ptr<Context>> contexts;
std::set<Module*> modules;
/// What is current on this thread, the innermost last.
thread_local std::vector<Context*> stack;

int deviceCount() {
  const auto count = environment("LOSSC_FAKE_DEVICES");
  return count.empty() ? 1 : std::atoi(count.c_str());
}

std::size_t totalMemory() {
  const auto bytes = environment("LOSSC_FAKE_MEMORY");
  return bytes.empty() ? std::size_t{1} << 30 : std::strtoull(bytes.c_str(), nullptr, 10);
}

bool alive(const Context* context) {
  for (const auto& [device, known] : contexts)
    if (known.get() == context && known->retained > 0) return true;
  return false;
}

/// The current context, or why there is none.
Context* current(Result& result) {
  result = !initialised ? notInitialized : stack.empty() ? invalidContext : !alive(stack.back()) ? contextIsDestroyed : stack.back()->lost;
  return result == success ? stack.back() : nullptr;
}

lossc::emulator::Order order() {
  using Kind = lossc::emulator::Order::Kind;
  const auto name = environment("LOSSC_FAKE_ORDER");
  if (name.empty() || name == "forward") return {Kind::forward, 0};
  if (name == "reverse") return {Kind::reverse, 0};
  return {Kind::seeded, std::strtoull(name.c_str(), nullptr, 10)};
}

std::size_t elfBytes(const void* image) {
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return 0;
  return header.e_shoff + std::size_t{header.e_shnum} * header.e_shentsize;
}

Result runGrid(Context& context, const Function& function, unsigned grid, unsigned block, std::vector<std::uint64_t> arguments) {
  for (auto& field : arguments) {
    if (field >> 48 != shift >> 48) continue;
    auto* memory = context.reach(field, 0);
    if (memory == nullptr) return illegalAddress;
    field = reinterpret_cast<std::uint64_t>(memory);
  }
  try {
    lossc::emulator::Block emulated(order());
    for (unsigned index = 0; index < grid; ++index) emulated.run(function.kernel, arguments.data(), index, static_cast<int>(block));
  } catch (const lossc::emulator::LaneFault& fault) {
    journal("laneFault", "\"message\":" + quoted(fault.what()));
    return launchFailed;
  }
  return success;
}

/// A stream of another time would be a dangling pointer to a real driver.
Result stale(const char* call) {
  journal("staleHandle", "\"in\":" + quoted(call));
  return invalidHandle;
}

Result enqueue(Context& context, Stream* stream, std::function<Result()> step) {
  if (context.streams.count(stream) == 0) return stale("enqueue");
  stream->work.push_back(std::move(step));
  return success;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default")))
#define INJECT(call)                                          \
  const std::lock_guard guard(lock);                          \
  if (const int wanted = injected(call); wanted != success) { \
    journal(call, "\"injected\":" + std::to_string(wanted));  \
    return wanted;                                            \
  }
#define CURRENT(context)                    \
  Result contextResult = success;           \
  auto* context = current(contextResult);   \
  if (context == nullptr) return contextResult

API Result cuInit(unsigned) {
  INJECT("cuInit")
  if (deviceCount() == 0) return noDevice;
  initialised = true;
  return success;
}

API Result cuDriverGetVersion(int* version) {
  *version = 13000;
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
  *value = attribute == major ? 9 : attribute == minor ? 0 : 1;
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
    journal("contextEnds", "\"allocations\":" + std::to_string(context->memory.size()) + ",\"streams\":" + std::to_string(context->streams.size()));
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
  context->memory.clear();
  context->streams.clear();
  return success;
}

API Result cuCtxPushCurrent_v2(Context* context) {
  INJECT("cuCtxPushCurrent_v2")
  if (!alive(context)) return invalidContext;
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

API Result cuCtxSynchronize() {
  INJECT("cuCtxSynchronize")
  CURRENT(context);
  for (auto* stream : context->streams)
    if (const auto result = context->flush(stream); result != success) return result;
  return success;
}

API Result cuStreamCreate(Stream** stream, unsigned) {
  INJECT("cuStreamCreate")
  CURRENT(context);
  *stream = new Stream;
  context->streams.insert(*stream);
  return success;
}

API Result cuStreamDestroy_v2(Stream* stream) {
  INJECT("cuStreamDestroy_v2")
  if (stack.empty() || stack.back()->streams.count(stream) == 0) return stale("cuStreamDestroy_v2");
  stack.back()->flush(stream);
  stack.back()->streams.erase(stream);
  delete stream;
  return success;
}

API Result cuStreamSynchronize(Stream* stream) {
  // Injected failures come out where those of asynchronous work do, and stick like them.
  const int wanted = injected("cuStreamSynchronize");
  const std::lock_guard guard(lock);
  CURRENT(context);
  if (context->streams.count(stream) == 0) return stale("cuStreamSynchronize");
  journal("cuStreamSynchronize", "\"work\":" + std::to_string(stream->work.size()));
  const auto result = context->flush(stream);
  if (wanted != success && sticky(wanted)) context->lost = wanted;
  return wanted != success ? wanted : result;
}

API Result cuMemAlloc_v2(std::uint64_t* pointer, std::size_t bytes) {
  INJECT("cuMemAlloc_v2")
  CURRENT(context);
  if (bytes == 0) return invalidValue;
  if (context->used() + bytes > totalMemory()) return outOfMemory;
  *pointer = context->allocate(bytes);
  journal("cuMemAlloc_v2", "\"bytes\":" + std::to_string(bytes) + ",\"address\":\"" + std::to_string(*pointer) + "\"");
  return success;
}

API Result cuMemFree_v2(std::uint64_t pointer) {
  INJECT("cuMemFree_v2")
  CURRENT(context);
  for (auto* stream : context->streams) context->flush(stream);
  if (context->memory.erase(pointer) == 0) return invalidValue;
  journal("cuMemFree_v2", "\"address\":\"" + std::to_string(pointer) + "\"");
  return success;
}

API Result cuMemcpyHtoDAsync_v2(std::uint64_t to, const void* from, std::size_t bytes, Stream* stream) {
  INJECT("cuMemcpyHtoDAsync_v2")
  CURRENT(context);
  journal("cuMemcpyHtoDAsync_v2", "\"bytes\":" + std::to_string(bytes));
  if (context->reach(to, bytes) == nullptr) return invalidValue;
  return enqueue(*context, stream, [=] {
    std::memcpy(context->reach(to, bytes), from, bytes);
    return success;
  });
}

API Result cuMemcpyDtoHAsync_v2(void* to, std::uint64_t from, std::size_t bytes, Stream* stream) {
  INJECT("cuMemcpyDtoHAsync_v2")
  CURRENT(context);
  journal("cuMemcpyDtoHAsync_v2", "\"bytes\":" + std::to_string(bytes));
  if (context->reach(from, bytes) == nullptr) return invalidValue;
  return enqueue(*context, stream, [=] {
    std::memcpy(to, context->reach(from, bytes), bytes);
    return success;
  });
}

API Result cuMemsetD8Async(std::uint64_t to, unsigned char value, std::size_t bytes, Stream* stream) {
  INJECT("cuMemsetD8Async")
  CURRENT(context);
  journal("cuMemsetD8Async", "\"bytes\":" + std::to_string(bytes) + ",\"value\":" + std::to_string(value));
  if (bytes == 0 || context->reach(to, bytes) == nullptr) return invalidValue;
  return enqueue(*context, stream, [=] {
    std::memset(context->reach(to, bytes), value, bytes);
    return success;
  });
}

API Result cuModuleLoadData(Module** module, const void* image) {
  INJECT("cuModuleLoadData")
  CURRENT(context);
  const auto bytes = elfBytes(image);
  if (bytes == 0) return invalidImage;
  std::string path = (environment("TMPDIR").empty() ? "/tmp" : environment("TMPDIR")) + "/lossc-fake-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return invalidImage;
  const bool written = write(file, image, bytes) == static_cast<ssize_t>(bytes);
  close(file);
  void* handle = written ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  unlink(path.c_str());
  if (handle == nullptr) return invalidImage;
  *module = new Module{handle, {}};
  modules.insert(*module);
  journal("cuModuleLoadData", "\"bytes\":" + std::to_string(bytes));
  return success;
}

API Result cuModuleUnload(Module* module) {
  INJECT("cuModuleUnload")
  CURRENT(context);
  if (modules.erase(module) == 0) return invalidHandle;
  for (auto* stream : context->streams) context->flush(stream);
  dlclose(module->handle);
  delete module;
  journal("cuModuleUnload");
  return success;
}

API Result cuModuleGetFunction(Function** function, Module* module, const char* name) {
  INJECT("cuModuleGetFunction")
  CURRENT(context);
  if (modules.count(module) == 0) return invalidHandle;
  auto* kernel = reinterpret_cast<lossc::emulator::Kernel*>(dlsym(module->handle, name));
  if (kernel == nullptr) return notFound;
  module->functions.push_back(std::make_unique<Function>(Function{name, kernel, module}));
  *function = module->functions.back().get();
  return success;
}

/// The arguments come as one struct, by address and size.
API Result cuLaunchKernel(Function* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ,
                          unsigned sharedBytes, Stream* stream, void** parameters, void** extra) {
  INJECT("cuLaunchKernel")
  CURRENT(context);
  if (modules.count(function->module) == 0) return invalidHandle;
  if (gridX == 0 || gridX > 0x7fffffffu || gridY != 1 || gridZ != 1 || blockX == 0 || blockX > 1024 || blockY != 1 || blockZ != 1) return invalidValue;
  if (sharedBytes != 0 || parameters != nullptr) return invalidValue;
  std::vector<std::uint64_t> arguments;
  if (extra != nullptr) {
    const bool wellFormed = extra[0] == reinterpret_cast<void*>(1) && extra[2] == reinterpret_cast<void*>(2) && extra[4] == nullptr;
    if (!wellFormed) return invalidValue;
    const auto bytes = *static_cast<std::size_t*>(extra[3]);
    if (bytes % 8 != 0) return invalidValue;
    arguments.resize(bytes / 8);
    std::memcpy(arguments.data(), extra[1], bytes);
  }
  std::string fields;
  for (const auto field : arguments) fields += (fields.empty() ? "\"" : ",\"") + std::to_string(field) + "\"";
  journal("cuLaunchKernel", "\"kernel\":" + quoted(function->name) + ",\"grid\":" + std::to_string(gridX) + ",\"block\":" + std::to_string(blockX) +
                                ",\"arguments\":[" + fields + "]");
  return enqueue(*context, stream, [=] { return runGrid(*context, *function, gridX, blockX, arguments); });
}

API Result cuGetErrorName(Result result, const char** name) {
  static const std::map<Result, const char*> names{
      {invalidValue, "CUDA_ERROR_INVALID_VALUE"},     {outOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},     {notInitialized, "CUDA_ERROR_NOT_INITIALIZED"},
      {noDevice, "CUDA_ERROR_NO_DEVICE"},             {invalidDevice, "CUDA_ERROR_INVALID_DEVICE"},   {invalidImage, "CUDA_ERROR_INVALID_IMAGE"},
      {invalidContext, "CUDA_ERROR_INVALID_CONTEXT"}, {invalidHandle, "CUDA_ERROR_INVALID_HANDLE"},   {notFound, "CUDA_ERROR_NOT_FOUND"},
      {illegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {launchFailed, "CUDA_ERROR_LAUNCH_FAILED"}};
  const auto known = names.find(result);
  *name = known == names.end() ? nullptr : known->second;
  return known == names.end() ? invalidValue : success;
}

API Result cuGetErrorString(Result result, const char** text) {
  static thread_local std::string description;
  description = "fake result " + std::to_string(result);
  *text = description.c_str();
  return success;
}

// For fake_cublas.cc, which works in the order of the stream like everybody else.
API unsigned char* losscFakeReach(std::uint64_t address, std::size_t bytes) {
  const std::lock_guard guard(lock);
  return stack.empty() ? nullptr : stack.back()->reach(address, bytes);
}

API Result losscFakeEnqueue(Stream* stream, void (*step)(void*), void* data) {
  const std::lock_guard guard(lock);
  CURRENT(context);
  return enqueue(*context, stream, [=] {
    step(data);
    return success;
  });
}
