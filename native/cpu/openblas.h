// Matrix products of float32 on the host, by OpenBLAS where it is installed.
#pragma once

#include <mutex>

#include "core/library.h"

namespace lossc {

/// Rows of float32, `leading` entries apart. `transposed` reads the transpose.
struct Operand {
  const float* data;
  int leading;
  bool transposed;
};

class OpenBlas {
 public:
  /// The library, opened on first use. A failed search is repeated on the next call, so that installing the library is enough.
  static OpenBlas& instance();

  /// DEVICE_NOT_FOUND, with advice, where there is no OpenBLAS.
  void require();
  /// c (m × n, `leading` entries between its rows) = alpha · a · b + beta · c, on the calling thread alone. Call `require` first; then any number of
  /// threads may call at once.
  void multiply(int m, int n, int k, float alpha, const Operand& a, const Operand& b, float beta, float* c, int leading);

  const Library& library();
  std::string version();

 private:
  using Sgemm = void(int order, int transposeA, int transposeB, int m, int n, int k, float alpha, const float* a, int lda, const float* b, int ldb,
                     float beta, float* c, int ldc);
  using SetThreads = void(int threads);
  using Parallel = int();
  using Config = char*();

  bool open();

  /// Guards the search for the library.
  std::mutex mutex_;
  /// Held during a product where OpenBLAS was built without threads: such a build is not safe to call from several.
  std::mutex turn_;
  Library library_;
  Sgemm* sgemm_ = nullptr;
  Config* config_ = nullptr;
  bool oneAtATime_ = false;
};

}  // namespace lossc
