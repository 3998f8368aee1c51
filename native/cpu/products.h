// Matrix products on the host. c is cut into tiles, which the threads of the pool share.
#pragma once

#include <vector>

#include "core/program.h"
#include "cpu/pool.h"

namespace lossc {

class Products {
 public:
  explicit Products(int threads) : scratch_(static_cast<std::size_t>(threads)) {}

  void run(const Matmul& matmul, Pool& pool, const Interrupt& interrupt);

 private:
  /// Per thread: widened panels of 16-bit matrices.
  std::vector<std::vector<float>> scratch_;
};

}  // namespace lossc
