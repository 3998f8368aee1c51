// A cuBLAS without CUDA: the one product that lossc asks for, by columns as the real one counts, in the order of fake_cuda.cc's stream.
#include <dlfcn.h>

#include <cstdint>

#include "journal.h"

using namespace fake;

namespace {

enum : int { success = 0, notInitialized = 1, invalidValue = 7, executionFailed = 13 };

struct Handle {
  void* stream = nullptr;
};

using Reach = unsigned char*(std::uint64_t address, std::size_t bytes);
using Enqueue = int(void* stream, void (*step)(void*), void* data);

/// A function of the fake driver, which is loaded already.
template <typename Type>
Type* driver(const char* symbol) {
  void* library = dlopen(environment("LOSSC_LIBCUDA").c_str(), RTLD_NOW | RTLD_NOLOAD);
  return library == nullptr ? nullptr : reinterpret_cast<Type*>(dlsym(library, symbol));
}

struct Product {
  bool transposeA, transposeB;
  int m, n, k;
  float alpha, beta;
  const float* a;
  int lda;
  const float* b;
  int ldb;
  float* c;
  int ldc;

  static void run(void* data) {
    const auto* x = static_cast<Product*>(data);
    for (int column = 0; column < x->n; ++column)
      for (int row = 0; row < x->m; ++row) {
        double sum = 0;
        for (int i = 0; i < x->k; ++i)
          sum += double{x->transposeA ? x->a[std::size_t(row) * x->lda + i] : x->a[std::size_t(i) * x->lda + row]} *
                 double{x->transposeB ? x->b[std::size_t(i) * x->ldb + column] : x->b[std::size_t(column) * x->ldb + i]};
        auto& c = x->c[std::size_t(column) * x->ldc + row];
        // A beta of 0 does not read c.
        c = static_cast<float>(x->alpha * sum + (x->beta == 0 ? 0.0 : double{x->beta} * c));
      }
    delete x;
  }
};

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

API int cublasCreate_v2(Handle** handle) {
  if (const int wanted = injected("cublasCreate_v2"); wanted != success) return wanted;
  journal("cublasCreate_v2");
  *handle = new Handle;
  return success;
}

API int cublasDestroy_v2(Handle* handle) {
  journal("cublasDestroy_v2");
  delete handle;
  return success;
}

API int cublasSetStream_v2(Handle* handle, void* stream) {
  handle->stream = stream;
  return success;
}

API int cublasGetProperty(int property, int* value) {
  *value = property == 0 ? 13 : 0;
  return success;
}

API int cublasSgemm_v2(Handle* handle, int operationA, int operationB, int m, int n, int k, const float* alpha, const float* a, int lda, const float* b,
                       int ldb, const float* beta, float* c, int ldc) {
  if (const int wanted = injected("cublasSgemm_v2"); wanted != success) return wanted;
  if (handle->stream == nullptr) return notInitialized;
  const auto columnsA = operationA == 0 ? k : m, rowsA = operationA == 0 ? m : k;
  const auto columnsB = operationB == 0 ? n : k, rowsB = operationB == 0 ? k : n;
  if (m < 0 || n < 0 || k < 0 || lda < (rowsA > 1 ? rowsA : 1) || ldb < (rowsB > 1 ? rowsB : 1) || ldc < (m > 1 ? m : 1)) return invalidValue;
  journal("cublasSgemm_v2", "\"m\":" + std::to_string(m) + ",\"n\":" + std::to_string(n) + ",\"k\":" + std::to_string(k));
  auto* reach = driver<Reach>("losscFakeReach");
  auto* enqueue = driver<Enqueue>("losscFakeEnqueue");
  if (reach == nullptr || enqueue == nullptr) return executionFailed;
  const auto host = [&](const float* pointer, int leading, int columns) {
    return reinterpret_cast<float*>(reach(reinterpret_cast<std::uint64_t>(pointer), sizeof(float) * std::size_t(leading) * std::size_t(columns)));
  };
  auto* hostA = host(a, lda, columnsA);
  auto* hostB = host(b, ldb, columnsB);
  auto* hostC = host(c, ldc, n);
  if (hostA == nullptr || hostB == nullptr || hostC == nullptr) return executionFailed;
  auto* product = new Product{operationA != 0, operationB != 0, m, n, k, *alpha, *beta, hostA, lda, hostB, ldb, hostC, ldc};
  return enqueue(handle->stream, Product::run, product) == 0 ? success : executionFailed;
}
