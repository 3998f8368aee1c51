// The emulated device: kernels of the emulated prelude in the geometry of a GPU, cluster by cluster on the pool's threads.
#pragma once

#include <deque>
#include <mutex>

#include "cpu/host_backend.h"
#include "emulator/cluster.h"

namespace lossc {

class EmulatedBackend : public HostBackend {
 public:
  explicit EmulatedBackend(emulator::Order order);

  /// Neither do stacks: a process may only have so many mappings.
  void close() override;

 protected:
  void launch(const Launch& launch, void* kernel, const Interrupt& interrupt) override;

 private:
  /// A cluster, and who runs it: large ones are shared by several threads of the pool.
  struct Place {
    explicit Place(emulator::Order order) : cluster(order) {}
    emulator::Cluster cluster;
    std::mutex mutex;
  };

  /// One for each thread of the pool; stacks are made when first needed and kept.
  std::deque<Place> places_;
};

}  // namespace lossc
