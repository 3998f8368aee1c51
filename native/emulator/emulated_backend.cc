#include "emulator/emulated_backend.h"

#include "core/host.h"

namespace lossc {
namespace {

/// Limit of stacks in all places. Each is a mapping, and the mappings of a process are limited.
constexpr int maxPool = 16;
constexpr int maxLanes = 8192;

int threads() { return std::min(maxPool, host::cores()); }

}  // namespace

EmulatedBackend::EmulatedBackend(emulator::Order order, bool races)
    : HostBackend({"emulated", "CUDA geometry on " + host::processorName(), host::architecture(), true, threads()}, threads()),
      order_(order),
      races_(races ? std::make_unique<emulator::Races>() : nullptr) {
  for (int i = 0; i < threads(); ++i) places_.emplace_back(order, races_.get());
}

void EmulatedBackend::launch(const Launch& launch, void* kernel, const Interrupt& interrupt) {
  auto* entry = reinterpret_cast<emulator::Kernel*>(kernel);
  try {
    const emulator::Shape shape{launch.block, launch.cluster, launch.shared};
    if (races_ != nullptr) return watched(launch, entry, shape, interrupt);
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

/// Runs one cluster after another, in the order of the lanes. The race check needs a serial order of clusters.
void EmulatedBackend::watched(const Launch& launch, emulator::Kernel* entry, const emulator::Shape& shape, const Interrupt& interrupt) {
  std::vector<int> clusters(static_cast<std::size_t>(launch.blocks() / launch.cluster));
  emulator::Turns(order_, -1).arrange(clusters);
  races_->begin(launch.arguments);
  for (const auto index : clusters) {
    interrupt.check();
    places_.front().cluster.run(entry, launch.arguments.data(), std::int64_t{index} * launch.cluster, shape);
  }
  bytesRead += races_->bytesRead();
  bytesWritten += races_->bytesWritten();
}

void EmulatedBackend::close() {
  HostBackend::close();
  places_.clear();
}

}  // namespace lossc
