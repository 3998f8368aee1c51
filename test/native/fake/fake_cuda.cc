// A libcuda without a GPU. Memory lies on the host under addresses that the host cannot read; a "cubin" is a shared object of kernels for the
// emulator's lanes (fake_nvrtc.cc), and a launch runs it through the emulator, in the order of lanes $LOSSC_FAKE_ORDER. Misuse that a real driver
// would punish is refused.
#include <dlfcn.h>
#include <unistd.h>

#include "state.h"

using namespace fake;

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
  NOT_WHILE_RECORDING();
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
  NOT_WHILE_RECORDING();
  if (context->streams.count(stream) == 0) return stale("cuStreamSynchronize");
  journal("cuStreamSynchronize", "\"work\":" + std::to_string(stream->work.size()));
  const auto result = context->flush(stream);
  if (wanted != success && sticky(wanted)) context->lost = wanted;
  return wanted != success ? wanted : result;
}

API Result cuMemAlloc_v2(std::uint64_t* pointer, std::size_t bytes) {
  INJECT("cuMemAlloc_v2")
  CURRENT(context);
  NOT_WHILE_RECORDING();
  if (bytes == 0) return invalidValue;
  if (context->used() + bytes > totalMemory()) return outOfMemory;
  *pointer = context->allocate(bytes);
  journal("cuMemAlloc_v2", "\"bytes\":" + std::to_string(bytes) + ",\"address\":\"" + std::to_string(*pointer) + "\"");
  return success;
}

API Result cuMemFree_v2(std::uint64_t pointer) {
  INJECT("cuMemFree_v2")
  CURRENT(context);
  NOT_WHILE_RECORDING();
  for (auto* stream : context->streams) context->flush(stream);
  if (context->memory.erase(pointer) == 0) return invalidValue;
  journal("cuMemFree_v2", "\"address\":\"" + std::to_string(pointer) + "\"");
  return success;
}

API Result cuMemcpyHtoDAsync_v2(std::uint64_t to, const void* from, std::size_t bytes, Stream* stream) {
  INJECT("cuMemcpyHtoDAsync_v2")
  CURRENT(context);
  // Pageable memory of the host cannot be recorded.
  NOT_WHILE_RECORDING();
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
  NOT_WHILE_RECORDING();
  journal("cuMemcpyDtoHAsync_v2", "\"bytes\":" + std::to_string(bytes));
  if (context->reach(from, bytes) == nullptr) return invalidValue;
  return enqueue(*context, stream, [=] {
    std::memcpy(to, context->reach(from, bytes), bytes);
    return success;
  });
}

API Result cuMemcpyDtoDAsync_v2(std::uint64_t to, std::uint64_t from, std::size_t bytes, Stream* stream) {
  INJECT("cuMemcpyDtoDAsync_v2")
  CURRENT(context);
  journal("cuMemcpyDtoDAsync_v2", "\"bytes\":" + std::to_string(bytes));
  if (bytes == 0 || context->reach(to, bytes) == nullptr || context->reach(from, bytes) == nullptr) return invalidValue;
  return enqueue(*context, stream, [=] {
    std::memcpy(context->reach(to, bytes), context->reach(from, bytes), bytes);
    return success;
  });
}

API Result cuMemsetD8Async(std::uint64_t to, unsigned char value, std::size_t bytes, Stream* stream) {
  INJECT("cuMemsetD8Async")
  CURRENT(context);
  journal("cuMemsetD8Async", "\"bytes\":" + std::to_string(bytes) + ",\"value\":" + std::to_string(value) + (recording == nullptr ? "" : ",\"recorded\":true"));
  if (bytes == 0 || context->reach(to, bytes) == nullptr) return invalidValue;
  return enqueue(*context, stream, [=] {
    std::memset(context->reach(to, bytes), value, bytes);
    return success;
  });
}

API Result cuModuleLoadData(Module** module, const void* image) {
  INJECT("cuModuleLoadData")
  CURRENT(context);
  NOT_WHILE_RECORDING();
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
  NOT_WHILE_RECORDING();
  // A graph that outlives its kernels would launch what is not there.
  for (const auto* graph : context->executables)
    if (graph->modules.count(module) != 0) return stale("cuModuleUnload");
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
  auto made = std::make_unique<Function>(Function{name, kernel, module});
  if (const auto* cluster = made->symbol<const int>(made->name + "_cluster")) made->cluster = *cluster;
  if (const auto* threads = made->symbol<const int>(made->name + "_threads")) made->threads = *threads;
  *function = made.get();
  module->functions.push_back(std::move(made));
  return success;
}

/// A kernel may have more than 48 KiB of shared memory once it has asked for it, and may say how much of a multiprocessor's memory it wants shared.
API Result cuFuncSetAttribute(Function* function, int attribute, int value) {
  INJECT("cuFuncSetAttribute")
  if (modules.count(function->module) == 0) return invalidHandle;
  constexpr int maxDynamicShared = 8, preferredCarveout = 9, mostShared = 227 * 1024;
  if (attribute == preferredCarveout) {
    if (value < -1 || value > 100) return invalidValue;
    journal("cuFuncSetAttribute", "\"kernel\":" + quoted(function->name) + ",\"carveout\":" + std::to_string(value));
    return success;
  }
  if (attribute != maxDynamicShared || value < 0 || value > mostShared) return invalidValue;
  journal("cuFuncSetAttribute", "\"kernel\":" + quoted(function->name) + ",\"shared\":" + std::to_string(value));
  function->sharedBytes = std::max(function->sharedBytes, value);
  return success;
}

/// The arguments come as one struct, by address and size.
API Result cuLaunchKernel(Function* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ,
                          unsigned sharedBytes, Stream* stream, void** parameters, void** extra) {
  INJECT("cuLaunchKernel")
  CURRENT(context);
  if (modules.count(function->module) == 0) return invalidHandle;
  if (gridX == 0 || gridX > 0x7fffffffu || gridY != 1 || gridZ != 1 || blockX == 0 || blockX > 1024 || blockY != 1 || blockZ != 1) return invalidValue;
  if (blockX > static_cast<unsigned>(function->threads)) return invalidValue;
  if (parameters != nullptr || gridX % static_cast<unsigned>(function->cluster) != 0 || sharedBytes > static_cast<unsigned>(function->sharedBytes)) return invalidValue;
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
                                ",\"shared\":" + std::to_string(sharedBytes) + ",\"arguments\":[" + fields + "]" +
                                (recording == nullptr ? "" : ",\"recorded\":true"));
  if (recording != nullptr) {
    auto& graph = *stream->recording;
    graph.modules.insert(function->module);
    graph.kernels += (graph.kernels.empty() ? "" : ",") + quoted(function->name);
  }
  return enqueue(*context, stream, [=] { return runGrid(*context, *function, gridX, blockX, sharedBytes, arguments); });
}

API Result cuGetErrorName(Result result, const char** name) {
  *name = errorName(result);
  return *name == nullptr ? invalidValue : success;
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
