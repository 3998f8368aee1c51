#include "emulator/emulated_backend.h"

#include "core/host.h"

namespace lossc {
namespace {

/// Every place keeps the stacks of a cluster, and a process may only have so many mappings: places with their stacks together stay below it.
constexpr int maxPool = 16;
constexpr int maxLanes = 8192;

int threads() { return std::min(maxPool, host::cores()); }

}  // namespace

EmulatedBackend::EmulatedBackend(emulator::Order order)
    : HostBackend({"emulated", "CUDA geometry on " + host::processorName(), host::architecture(), true, threads()}, threads()) {
  for (int i = 0; i < threads(); ++i) places_.emplace_back(order);
}

void EmulatedBackend::launch(const Launch& launch, void* kernel, const Interrupt& interrupt) {
  auto* entry = reinterpret_cast<emulator::Kernel*>(kernel);
  try {
    const emulator::Shape shape{launch.block, launch.cluster, launch.shared};
    const auto places = static_cast<std::size_t>(std::clamp(maxLanes / (launch.block * launch.cluster), 1, threads()));
    pool_.visit(launch.blocks() / launch.cluster, 1, interrupt, [&](std::int64_t begin, std::int64_t end, int thread) {
      auto& place = places_[static_cast<std::size_t>(thread) % places];
      const std::lock_guard lock(place.mutex);
      for (auto index = begin; index < end && !interrupt.raised(); ++index)
        place.cluster.run(entry, launch.arguments.data(), index * launch.cluster, shape);
    });
    interrupt.check();
  } catch (const emulator::LaneFault& fault) {
    throw Fault(Code::deviceFault, "kernel " + launch.kernel + ": " + fault.what());
  }
}

void EmulatedBackend::close() {
  HostBackend::close();
  places_.clear();
}

}  // namespace lossc
