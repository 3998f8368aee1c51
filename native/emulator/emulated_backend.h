// The emulated device: kernels of the emulated prelude in the geometry of a GPU, cluster by cluster on the pool's threads.
#pragma once

#include <deque>

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
  /// One for each thread of the pool; stacks are made when first needed and kept.
  std::deque<emulator::Cluster> clusters_;
};

}  // namespace lossc
