#include "cuda/blas.h"

namespace lossc::cuda {
namespace {

BlasDtype dtypeOf(const Matrix& matrix) {
  return matrix.dtype == Dtype::f32 ? blasFloat32 : matrix.dtype == Dtype::bf16 ? blasBfloat16 : blasFloat16;
}

}  // namespace

BlasLibrary& BlasLibrary::instance() {
  static BlasLibrary library;
  return library;
}

const Library& BlasLibrary::library() {
  const std::lock_guard lock(mutex_);
  if (!library_) {
    library_ = Library::open("LOSSC_LIBCUBLAS", Library::cudaCandidates({"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"}));
    library_.bind(create, "cublasCreate_v2");
    library_.bind(destroy, "cublasDestroy_v2");
    library_.bind(setStream, "cublasSetStream_v2");
    library_.bind(setMathMode, "cublasSetMathMode");
    library_.bind(gemm, "cublasGemmEx");
    library_.bind(getProperty, "cublasGetProperty");
  }
  return library_;
}

std::string BlasLibrary::version() {
  if (!library() || getProperty == nullptr) return "";
  int parts[3] = {};
  for (const auto property : {blasMajor, blasMinor, blasPatch})
    if (getProperty(property, &parts[property]) != blasSuccess) return "";
  return std::to_string(parts[0]) + "." + std::to_string(parts[1]) + "." + std::to_string(parts[2]);
}

void Blas::check(BlasStatus status, const std::string& operation) {
  if (status == blasSuccess) return;
  throw Fault(status == blasAllocFailed ? Code::deviceOutOfMemory : Code::deviceFault,
              operation + " failed: cuBLAS status " + std::to_string(status));
}

void Blas::matmul(const Matmul& x) {
  auto& library = BlasLibrary::instance();
  const auto& found = library.library();
  if (library.create == nullptr || library.destroy == nullptr || library.setStream == nullptr || library.setMathMode == nullptr || library.gemm == nullptr) {
    const auto problem = found ? found.path() + " lacks a function of cuBLAS" : found.problem();
    throw Fault(Code::deviceNotFound, "matrix products on the GPU need cuBLAS, which is not there: " + problem +
                                          ". It comes with the CUDA toolkit (apt-get install libcublas-13-0 from NVIDIA's repository); LOSSC_LIBCUBLAS names its file");
  }
  if (handle_ == nullptr) {
    check(library.create(&handle_), "starting cuBLAS");
    try {
      check(library.setStream(handle_, gpu_.stream), "starting cuBLAS");
      check(library.setMathMode(handle_, blasWholeSums), "starting cuBLAS");
    } catch (...) {
      close();
      throw;
    }
  }
  if (x.m == 0 || x.n == 0) return;
  // cuBLAS counts by columns: what it takes for the transpose of c is b times a, both likewise transposed by being read that way.
  check(library.gemm(handle_, x.transposeB ? blasTranspose : blasNoTranspose, x.transposeA ? blasTranspose : blasNoTranspose, x.n, x.m, x.k, &x.alpha,
                     reinterpret_cast<const void*>(x.b.address), dtypeOf(x.b), x.rowOfB(), reinterpret_cast<const void*>(x.a.address), dtypeOf(x.a),
                     x.rowOfA(), &x.beta, reinterpret_cast<void*>(x.c.address), dtypeOf(x.c), x.n, blasComputeFloat32, blasDefaultAlgorithm),
        "a matrix product");
}

void Blas::close() {
  if (handle_ != nullptr) BlasLibrary::instance().destroy(handle_);
  handle_ = nullptr;
}

}  // namespace lossc::cuda
