// Zeroed host memory, aligned to memoryAlignment.
#pragma once

#include <memory>

#include "core/program.h"

namespace lossc {

class HostMemory : public Allocation {
 public:
  static std::shared_ptr<HostMemory> make(std::size_t bytes);
  HostMemory(void* memory, std::size_t bytes, std::size_t mapped);
  ~HostMemory() override;

 private:
  /// Length of the mapping, 0 where the memory came from the heap.
  const std::size_t mapped_;
};

}  // namespace lossc
