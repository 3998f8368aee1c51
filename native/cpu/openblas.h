// Matrix products on the host, by OpenBLAS where it is installed.
#pragma once

#include <mutex>

#include "core/library.h"
#include "core/program.h"

namespace lossc {

class OpenBlas {
 public:
  /// Opened when first asked for; a library that was not found is looked for again, so that installing it is enough.
  static OpenBlas& instance();

  /// DEVICE_NOT_FOUND, with the way out, where there is no OpenBLAS.
  void matmul(const Matmul& matmul, int threads);

  const Library& library();
  std::string version();

 private:
  using Sgemm = void(int order, int transposeA, int transposeB, int m, int n, int k, float alpha, const float* a, int lda, const float* b, int ldb,
                     float beta, float* c, int ldc);
  using SetThreads = void(int threads);
  using Config = char*();

  bool open();

  /// Guards the search for the library, and apart from it the products, which may take long.
  std::mutex mutex_;
  std::mutex turn_;
  Library library_;
  Sgemm* sgemm_ = nullptr;
  SetThreads* setThreads_ = nullptr;
  Config* config_ = nullptr;
  int threads_ = 0;
};

}  // namespace lossc
