#include "emulator/emulated_backend.h"

#include "core/host.h"

namespace lossc {
namespace {

/// Every thread keeps the stacks of a cluster, and a process may only have so many mappings.
constexpr int maxPool = 16;

int threads() { return std::min(maxPool, host::cores()); }

}  // namespace

EmulatedBackend::EmulatedBackend(emulator::Order order)
    : HostBackend({"emulated", "CUDA geometry on " + host::processorName(), host::architecture(), true, threads()}, threads()) {
  for (int i = 0; i < threads(); ++i) clusters_.emplace_back(order);
}

void EmulatedBackend::launch(const Launch& launch, void* kernel, const Interrupt& interrupt) {
  auto* entry = reinterpret_cast<emulator::Kernel*>(kernel);
  try {
    const emulator::Shape shape{launch.block, launch.cluster, launch.shared};
    pool_.visit(launch.blocks() / launch.cluster, 1, interrupt, [&](std::int64_t begin, std::int64_t end, int thread) {
      for (auto cluster = begin; cluster < end && !interrupt.raised(); ++cluster)
        clusters_[static_cast<std::size_t>(thread)].run(entry, launch.arguments.data(), cluster * launch.cluster, shape);
    });
    interrupt.check();
  } catch (const emulator::LaneFault& fault) {
    throw Fault(Code::deviceFault, "kernel " + launch.kernel + ": " + fault.what());
  }
}

void EmulatedBackend::close() {
  HostBackend::close();
  clusters_.clear();
}

}  // namespace lossc
