#include "emulator/emulated_backend.h"

#include "core/host.h"

namespace lossc {
namespace {

/// Every thread keeps the stacks of a block, and a process may only have so many mappings.
constexpr int maxPool = 16;

int threads() { return std::min(maxPool, host::cores()); }

}  // namespace

EmulatedBackend::EmulatedBackend(emulator::Order order)
    : HostBackend({"emulated", "CUDA geometry on " + host::processorName(), host::architecture(), true, threads()}, threads()) {
  for (int i = 0; i < threads(); ++i) blocks_.emplace_back(order);
}

void EmulatedBackend::launch(const Launch& launch, void* kernel, const Interrupt& interrupt) {
  auto* entry = reinterpret_cast<emulator::Kernel*>(kernel);
  try {
    pool_.visit(launch.blocks(), 1, interrupt, [&](std::int64_t begin, std::int64_t end, int thread) {
      for (auto block = begin; block < end && !interrupt.raised(); ++block)
        blocks_[static_cast<std::size_t>(thread)].run(entry, launch.arguments.data(), block, launch.block);
    });
    interrupt.check();
  } catch (const emulator::LaneFault& fault) {
    throw Fault(Code::deviceFault, "kernel " + launch.kernel + ": " + fault.what());
  }
}

void EmulatedBackend::close() {
  HostBackend::close();
  blocks_.clear();
}

}  // namespace lossc
