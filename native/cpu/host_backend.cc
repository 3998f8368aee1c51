#include "cpu/host_backend.h"

#include <cstring>

#include "cpu/host_memory.h"

namespace lossc {
namespace {

/// Bytes that a thread copies or fills at once.
constexpr std::int64_t copyGrain = 256 * 1024;

}  // namespace

HostBackend::HostBackend(Description about, int threads) : Backend(std::move(about)), pool_(threads), products_(pool_.threads()) {
  description.threads = pool_.threads();
}

std::shared_ptr<Allocation> HostBackend::allocate(std::size_t bytes) { return HostMemory::make(bytes); }

std::shared_ptr<Module> HostBackend::load(const Binary& binary) {
  return std::make_shared<SharedObject>(binary);
}

void HostBackend::run(Program& program, const Interrupt& interrupt) {
  // All kernels are looked up first, so that a missing one is reported before anything has run.
  for (const auto& command : program.commands)
    if (const auto* launch = std::get_if<Launch>(&command)) static_cast<SharedObject&>(*launch->module).kernel(launch->kernel);
  for (const auto& command : program.commands) {
    interrupt.check();
    std::visit([&](const auto& concrete) { execute(concrete, interrupt); }, command);
  }
}

void HostBackend::execute(const Launch& command, const Interrupt& interrupt) {
  void* kernel = static_cast<SharedObject&>(*command.module).kernel(command.kernel);
  launches.fetch_add(1, std::memory_order_relaxed);
  launch(command, kernel, interrupt);
}

void HostBackend::execute(const Write& write, const Interrupt& interrupt) {
  copy(reinterpret_cast<unsigned char*>(write.to), static_cast<const unsigned char*>(write.from), write.bytes, interrupt);
}

void HostBackend::execute(const Read& read, const Interrupt& interrupt) {
  copy(static_cast<unsigned char*>(read.to), reinterpret_cast<const unsigned char*>(read.from), read.bytes, interrupt);
}

void HostBackend::execute(const Copy& copying, const Interrupt& interrupt) {
  copy(reinterpret_cast<unsigned char*>(copying.to), reinterpret_cast<const unsigned char*>(copying.from), copying.bytes, interrupt);
}

void HostBackend::execute(const Fill& fill, const Interrupt& interrupt) {
  auto* to = reinterpret_cast<unsigned char*>(fill.to);
  pool_.visit(static_cast<std::int64_t>(fill.bytes), copyGrain, interrupt, [&](std::int64_t begin, std::int64_t end, int) {
    std::memset(to + begin, fill.value, static_cast<std::size_t>(end - begin));
  });
}

void HostBackend::execute(const Matmul& matmul, const Interrupt& interrupt) { products_.run(matmul, pool_, interrupt); }

void HostBackend::copy(unsigned char* to, const unsigned char* from, std::size_t bytes, const Interrupt& interrupt) {
  // Both may lie in the same buffer. Pieces of an overlapping copy would overwrite each other's source.
  if (to < from + bytes && from < to + bytes) {
    if (to != from) std::memmove(to, from, bytes);
    return;
  }
  pool_.visit(static_cast<std::int64_t>(bytes), copyGrain, interrupt, [&](std::int64_t begin, std::int64_t end, int) {
    std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin));
  });
}

}  // namespace lossc
