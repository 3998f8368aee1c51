// The "cubins" of the fake driver: shared objects of kernels for the emulator's lanes, and how they are run.
#pragma once

#include <dlfcn.h>
#include <elf.h>

#include <string>

#include "device.h"
#include "emulator/cluster.h"
#include "journal.h"

namespace fake {

struct Module {
  void* handle;
  std::vector<std::unique_ptr<struct Function>> functions;
};

struct Function {
  std::string name;
  lossc::emulator::Kernel* kernel;
  Module* module;
  /// Blocks of a cluster, which the kernel says of itself.
  int cluster = 1;
  /// The most threads that a block may have.
  int threads = 1024;
  int sharedBytes = 48 * 1024;

  template <class T> T* symbol(const std::string& symbol) const { return static_cast<T*>(dlsym(module->handle, symbol.c_str())); }
};

inline lossc::emulator::Order order() {
  using Kind = lossc::emulator::Order::Kind;
  const auto name = environment("LOSSC_FAKE_ORDER");
  if (name.empty() || name == "forward") return {Kind::forward, 0};
  if (name == "reverse") return {Kind::reverse, 0};
  return {Kind::seeded, std::strtoull(name.c_str(), nullptr, 10)};
}

/// The length of an image, from its ELF header; 0 where it is no image.
inline std::size_t elfBytes(const void* image) {
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return 0;
  return header.e_shoff + std::size_t{header.e_shnum} * header.e_shentsize;
}

/// Runs a launch. Fields of the arguments that are device addresses become the host's.
inline Result runGrid(Context& context, const Function& function, unsigned grid, unsigned block, unsigned shared, std::vector<std::uint64_t> arguments) {
  for (auto& field : arguments) {
    if (field >> 48 != shift >> 48) continue;
    auto* memory = context.reach(field, 0);
    if (memory == nullptr) return illegalAddress;
    field = reinterpret_cast<std::uint64_t>(memory);
  }
  // Kernels that came from PTX say what they did wrong.
  auto* fault = function.symbol<char>("ptx_fault");
  if (fault != nullptr) {
    *fault = 0;
    *function.symbol<long long>("ptx_executed") = 0;
    *function.symbol<int>("ptx_shared") = static_cast<int>(shared);
    static thread_local Context* running;
    running = &context;
    *function.symbol<bool (*)(const void*, int)>("ptx_reach") = [](const void* address, int bytes) {
      return running->reach(reinterpret_cast<std::uint64_t>(address) + shift, static_cast<std::size_t>(bytes)) != nullptr;
    };
  }
  Result result = success;
  try {
    lossc::emulator::Races races;
    races.begin(arguments);
    lossc::emulator::Cluster emulated(order(), environment("LOSSC_FAKE_RACES").empty() ? nullptr : &races);
    const lossc::emulator::Shape shape{static_cast<int>(block), function.cluster, static_cast<int>(shared)};
    for (unsigned first = 0; first < grid; first += static_cast<unsigned>(shape.cluster)) emulated.run(function.kernel, arguments.data(), first, shape);
  } catch (const lossc::emulator::LaneFault& stopped) {
    journal("laneFault", "\"message\":" + quoted(stopped.what()));
    result = launchFailed;
  }
  if (fault != nullptr) journal("ptxExecuted", "\"instructions\":" + std::to_string(*function.symbol<long long>("ptx_executed")));
  if (fault == nullptr || *fault == 0) return result;
  journal("ptxFault", "\"message\":" + quoted(fault));
  return illegalAddress;
}

inline const char* errorName(Result result) {
  static const std::map<Result, const char*> names{
      {invalidValue, "CUDA_ERROR_INVALID_VALUE"},     {outOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},     {notInitialized, "CUDA_ERROR_NOT_INITIALIZED"},
      {noDevice, "CUDA_ERROR_NO_DEVICE"},             {invalidDevice, "CUDA_ERROR_INVALID_DEVICE"},   {invalidImage, "CUDA_ERROR_INVALID_IMAGE"},
      {invalidContext, "CUDA_ERROR_INVALID_CONTEXT"}, {captureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"}, {invalidHandle, "CUDA_ERROR_INVALID_HANDLE"},   {notFound, "CUDA_ERROR_NOT_FOUND"},
      {illegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {launchFailed, "CUDA_ERROR_LAUNCH_FAILED"}};
  const auto known = names.find(result);
  return known == names.end() ? nullptr : known->second;
}

}  // namespace fake
