#include "cpu/openblas.h"

#include <sstream>

#include "core/fault.h"

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

/// Whether the library has the functions that products need.
bool OpenBlas::open() {
  const std::lock_guard lock(mutex_);
  if (sgemm_ != nullptr) return true;
  library_ = Library::open("LOSSC_OPENBLAS", {"libopenblas.so.0", "libopenblas.so"});
  if (!library_) return false;
  SetThreads* setThreads = nullptr;
  Parallel* parallel = nullptr;
  // The pool's threads are used instead: results of OpenBLAS's own threads have bits that depend on their number.
  if (library_.bind(setThreads, "openblas_set_num_threads")) setThreads(1);
  oneAtATime_ = library_.bind(parallel, "openblas_get_parallel") && parallel() == 0;
  library_.bind(config_, "openblas_get_config");
  return library_.bind(sgemm_, "cblas_sgemm");
}

void OpenBlas::require() {
  if (open()) return;
  const auto problem = library_ ? library_.path() + " has no cblas_sgemm" : library_.problem();
  throw Fault(Code::deviceNotFound, "matrix products on the CPU need OpenBLAS, which is not there: " + problem +
                                        ". On Debian and Ubuntu: apt-get install libopenblas0");
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

void OpenBlas::multiply(int m, int n, int k, float alpha, const Operand& a, const Operand& b, float beta, float* c, int leading) {
  std::unique_lock lock(turn_, std::defer_lock);
  if (oneAtATime_) lock.lock();
  sgemm_(rowMajor, a.transposed ? transpose : noTranspose, b.transposed ? transpose : noTranspose, m, n, k, alpha, a.data, a.leading, b.data,
         b.leading, beta, c, leading);
}

}  // namespace lossc
