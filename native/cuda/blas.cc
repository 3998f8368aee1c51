#include "cuda/blas.h"

#include "cuda/driver.h"

namespace lossc::cuda {
namespace {

BlasDtype dtypeOf(const Matrix& matrix) {
  return matrix.dtype == Dtype::f32 ? blasFloat32 : matrix.dtype == Dtype::bf16 ? blasBfloat16 : blasFloat16;
}

std::string versionOf(BlasStatus (*ask)(BlasProperty property, int* value)) {
  if (ask == nullptr) return "";
  int parts[3] = {};
  for (const auto property : {blasMajor, blasMinor, blasPatch})
    if (ask(property, &parts[property]) != blasSuccess) return "";
  return std::to_string(parts[0]) + "." + std::to_string(parts[1]) + "." + std::to_string(parts[2]);
}

}  // namespace

BlasLibrary& BlasLibrary::instance() {
  static BlasLibrary library;
  return library;
}

/// The reason why a library cannot be used. The functions of one that can are bound.
std::string BlasLibrary::misfit(const Library& library) {
  bool whole = true;
  const auto bind = [&](auto& function, const char* symbol) { whole = library.bind(function, symbol) && whole; };
  bind(create, "cublasCreate_v2");
  bind(destroy, "cublasDestroy_v2");
  bind(setStream, "cublasSetStream_v2");
  bind(setMathMode, "cublasSetMathMode");
  bind(gemm, "cublasGemmEx");
  library.bind(getProperty, "cublasGetProperty");
  if (!whole) return library.path() + " lacks a function of cuBLAS";
  return Driver::misfit(library, "cuBLAS", versionOf(getProperty));
}

const Library& BlasLibrary::library() {
  const std::lock_guard lock(mutex_);
  if (!library_)
    library_ = Library::open("LOSSC_LIBCUBLAS", Library::cudaCandidates({"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"}),
                             [this](const Library& found) { return misfit(found); });
  return library_;
}

std::string BlasLibrary::version() { return library() ? versionOf(getProperty) : ""; }

void Blas::check(BlasStatus status, const std::string& operation) {
  if (status == blasSuccess) return;
  throw Fault(status == blasAllocFailed ? Code::deviceOutOfMemory : Code::deviceFault,
              operation + " failed: cuBLAS status " + std::to_string(status));
}

void Blas::matmul(const Matmul& x) {
  auto& library = BlasLibrary::instance();
  const auto& found = library.library();
  if (!found) {
    const std::string package = Driver::major() == 12 ? "libcublas-12-9" : "libcublas-13-0";
    throw Fault(Code::deviceNotFound, "matrix products on the GPU need cuBLAS, which cannot be used: " + found.problem() +
                                          ". It comes with the CUDA toolkit (apt-get install " + package +
                                          " from NVIDIA's repository); LOSSC_LIBCUBLAS names its file");
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
  // cuBLAS is column-major. It computes the transpose of c as b times a, where both are read as their transposes.
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
