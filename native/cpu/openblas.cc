#include "cpu/openblas.h"

#include <algorithm>
#include <sstream>

namespace lossc {
namespace {

// Numbers of the CBLAS interface.
constexpr int rowMajor = 101;
constexpr int noTranspose = 111;
constexpr int transpose = 112;

}  // namespace

OpenBlas& OpenBlas::instance() {
  static OpenBlas openblas;
  return openblas;
}

/// Whether there is something to multiply with.
bool OpenBlas::open() {
  const std::lock_guard lock(mutex_);
  if (sgemm_ != nullptr) return true;
  library_ = Library::open("LOSSC_OPENBLAS", {"libopenblas.so.0", "libopenblas.so"});
  if (!library_) return false;
  library_.bind(setThreads_, "openblas_set_num_threads");
  library_.bind(config_, "openblas_get_config");
  return library_.bind(sgemm_, "cblas_sgemm");
}

const Library& OpenBlas::library() {
  open();
  return library_;
}

std::string OpenBlas::version() {
  open();
  if (config_ == nullptr) return "";
  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH …"
  std::istringstream words(config_());
  std::string name, version;
  words >> name >> version;
  return version;
}

void OpenBlas::matmul(const Matmul& x, int threads) {
  // OpenBLAS has one set of threads for the process, so devices take turns.
  const std::lock_guard lock(turn_);
  if (!open()) {
    const auto problem = library_ ? library_.path() + " has no cblas_sgemm" : library_.problem();
    throw Fault(Code::deviceNotFound, "matrix products on the CPU need OpenBLAS, which is not there: " + problem +
                                          ". On Debian and Ubuntu: apt-get install libopenblas0");
  }
  if (x.m == 0 || x.n == 0) return;
  if (setThreads_ != nullptr && threads_ != threads) setThreads_(threads);
  threads_ = threads;
  sgemm_(rowMajor, x.transposeA ? transpose : noTranspose, x.transposeB ? transpose : noTranspose, x.m, x.n, x.k, x.alpha,
         reinterpret_cast<const float*>(x.a), std::max(1, x.transposeA ? x.m : x.k), reinterpret_cast<const float*>(x.b),
         std::max(1, x.transposeB ? x.k : x.n), x.beta, reinterpret_cast<float*>(x.c), x.n);
}

}  // namespace lossc
