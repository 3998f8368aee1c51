// Matrix products on the GPU, by cuBLAS where it is installed.
#pragma once

#include "core/library.h"
#include "core/program.h"
#include "cuda/gpu.h"

namespace lossc::cuda {

/// The library, opened when first needed.
struct BlasLibrary {
  static BlasLibrary& instance();

  const Library& library();
  /// "13.0.2", empty where it is unknown.
  std::string version();

  BlasStatus (*create)(BlasHandle* handle) = nullptr;
  BlasStatus (*destroy)(BlasHandle handle) = nullptr;
  BlasStatus (*setStream)(BlasHandle handle, Stream stream) = nullptr;
  BlasStatus (*setMathMode)(BlasHandle handle, BlasMath mode) = nullptr;
  BlasStatus (*gemm)(BlasHandle handle, BlasOperation operationA, BlasOperation operationB, int m, int n, int k, const void* alpha, const void* a,
                     BlasDtype dtypeA, int lda, const void* b, BlasDtype dtypeB, int ldb, const void* beta, void* c, BlasDtype dtypeC, int ldc,
                     BlasCompute compute, BlasAlgorithm algorithm) = nullptr;
  BlasStatus (*getProperty)(BlasProperty property, int* value) = nullptr;

 private:
  std::string misfit(const Library& library);

  std::mutex mutex_;
  Library library_;
};

/// A cuBLAS handle for one GPU's stream, made with the first product. Used on the device's thread with its context current.
class Blas {
 public:
  explicit Blas(const Gpu& gpu) : gpu_(gpu) {}
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  /// DEVICE_NOT_FOUND, with advice, where there is no cuBLAS.
  void matmul(const Matmul& matmul);
  void close();

 private:
  void check(BlasStatus status, const std::string& operation);

  const Gpu& gpu_;
  BlasHandle handle_ = nullptr;
};

}  // namespace lossc::cuda
