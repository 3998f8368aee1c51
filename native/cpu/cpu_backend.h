// The cpu device: kernels of the cpu prelude, their elements spread over the pool.
#pragma once

#include "cpu/host_backend.h"

namespace lossc {

class CpuBackend : public HostBackend {
 public:
  /// 0 threads: one per core that the process may use.
  explicit CpuBackend(int threads);

 protected:
  void launch(const Launch& launch, void* kernel, const Interrupt& interrupt) override;
};

}  // namespace lossc
