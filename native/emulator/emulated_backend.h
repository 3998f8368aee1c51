// The emulated device: kernels of the emulated prelude in the geometry of a GPU, cluster by cluster on the pool's threads.
#pragma once

#include <deque>
#include <mutex>

#include "cpu/host_backend.h"
#include "emulator/cluster.h"

namespace lossc {

class EmulatedBackend : public HostBackend {
 public:
  EmulatedBackend(emulator::Order order, bool races);

  /// Frees the stacks as well: the number of mappings of a process is limited.
  void close() override;

 protected:
  void launch(const Launch& launch, void* kernel, const Interrupt& interrupt) override;

 private:
  /// A cluster with its lock: several threads of the pool share a large one.
  struct Place {
    Place(emulator::Order order, emulator::Races* races) : cluster(order, races) {}
    emulator::Cluster cluster;
    std::mutex mutex;
  };

  void watched(const Launch& launch, emulator::Kernel* entry, const emulator::Shape& shape, const Interrupt& interrupt);

  const emulator::Order order_;
  /// Null where races are not checked.
  const std::unique_ptr<emulator::Races> races_;
  /// One for each thread of the pool. Stacks are made on first use and kept.
  std::deque<Place> places_;
};

}  // namespace lossc
