// A cuBLAS without CUDA: the one product that lossc asks for, by columns as the real one counts, in the order of fake_cuda.cc's stream.
#include <dlfcn.h>

#include <cstdint>

#include "core/halves.h"
#include "journal.h"

using namespace fake;

namespace {

enum : int { success = 0, notInitialized = 1, invalidValue = 7, executionFailed = 13, notSupported = 15 };

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

using lossc::halves::Bits;
using lossc::halves::Bf16;
using lossc::halves::F16;

enum Dtype : int { float32 = 0, float16 = 2, bfloat16 = 14 };

std::size_t bytesOf(Dtype dtype) { return dtype == float32 ? 4 : 2; }

/// Columns of numbers in memory, as cuBLAS takes a matrix.
struct Columns {
  unsigned char* data;
  Dtype dtype;
  int leading;

  unsigned char* at(int row, int column) const { return data + bytesOf(dtype) * (std::size_t(column) * std::size_t(leading) + std::size_t(row)); }
  float get(int row, int column) const {
    const auto* from = at(row, column);
    if (dtype == float32) return *reinterpret_cast<const float*>(from);
    const auto half = *reinterpret_cast<const Bits*>(from);
    return dtype == bfloat16 ? Bf16::widen(half) : F16::widen(half);
  }
  void set(int row, int column, float x) const {
    auto* to = at(row, column);
    if (dtype == float32) *reinterpret_cast<float*>(to) = x;
    else *reinterpret_cast<Bits*>(to) = dtype == bfloat16 ? Bf16::narrow(x) : F16::narrow(x);
  }
};

struct Product {
  bool transposeA, transposeB;
  int m, n, k;
  float alpha, beta;
  Columns a, b, c;

  static void run(void* data) {
    const auto* x = static_cast<Product*>(data);
    for (int column = 0; column < x->n; ++column)
      for (int row = 0; row < x->m; ++row) {
        float sum = 0;
        for (int i = 0; i < x->k; ++i)
          sum += (x->transposeA ? x->a.get(i, row) : x->a.get(row, i)) * (x->transposeB ? x->b.get(column, i) : x->b.get(i, column));
        // A beta of 0 does not read c.
        x->c.set(row, column, x->alpha * sum + (x->beta == 0 ? 0.0f : x->beta * x->c.get(row, column)));
      }
    delete x;
  }
};

/// The product, with sums in float32 as the real library computes it.
bool supported(Dtype a, Dtype b, Dtype c, int compute, int algorithm) {
  const bool known = a == float32 || a == float16 || a == bfloat16;
  return known && a == b && (c == a || c == float32) && compute == 68 && algorithm == -1;
}

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
  static const char here = 0;
  int parts[3] = {};
  std::sscanf(about(&here, "13.0.0").c_str(), "%d.%d.%d", &parts[0], &parts[1], &parts[2]);
  *value = parts[property];
  return success;
}

API int cublasSetMathMode(Handle* handle, int mode) {
  if (const int wanted = injected("cublasSetMathMode"); wanted != success) return wanted;
  journal("cublasSetMathMode", "\"mode\":" + std::to_string(mode));
  return handle == nullptr ? notInitialized : success;
}

API int cublasGemmEx(Handle* handle, int operationA, int operationB, int m, int n, int k, const void* alpha, const void* a, Dtype dtypeA, int lda,
                     const void* b, Dtype dtypeB, int ldb, const void* beta, void* c, Dtype dtypeC, int ldc, int compute, int algorithm) {
  if (const int wanted = injected("cublasGemmEx"); wanted != success) return wanted;
  if (handle->stream == nullptr) return notInitialized;
  const auto columnsA = operationA == 0 ? k : m, rowsA = operationA == 0 ? m : k;
  const auto columnsB = operationB == 0 ? n : k, rowsB = operationB == 0 ? k : n;
  if (m < 0 || n < 0 || k < 0 || lda < (rowsA > 1 ? rowsA : 1) || ldb < (rowsB > 1 ? rowsB : 1) || ldc < (m > 1 ? m : 1)) return invalidValue;
  if (!supported(dtypeA, dtypeB, dtypeC, compute, algorithm)) return notSupported;
  journal("cublasGemmEx", "\"m\":" + std::to_string(m) + ",\"n\":" + std::to_string(n) + ",\"k\":" + std::to_string(k) + ",\"dtypes\":[" +
                              std::to_string(dtypeA) + "," + std::to_string(dtypeB) + "," + std::to_string(dtypeC) + "]");
  auto* reach = driver<Reach>("losscFakeReach");
  auto* enqueue = driver<Enqueue>("losscFakeEnqueue");
  if (reach == nullptr || enqueue == nullptr) return executionFailed;
  bool reached = true;
  const auto host = [&](const void* pointer, Dtype dtype, int rows, int leading, int columns) -> Columns {
    // The last column ends with its last row.
    const auto entries = rows == 0 || columns == 0 ? 0 : std::size_t(leading) * std::size_t(columns - 1) + std::size_t(rows);
    const auto address = reinterpret_cast<std::uint64_t>(pointer);
    auto* data = entries == 0 ? nullptr : reach(address, bytesOf(dtype) * entries);
    if (entries > 0 && (data == nullptr || address % bytesOf(dtype) != 0)) reached = false;
    return {data, dtype, leading};
  };
  const auto hostA = host(a, dtypeA, rowsA, lda, columnsA), hostB = host(b, dtypeB, rowsB, ldb, columnsB), hostC = host(c, dtypeC, m, ldc, n);
  if (!reached) return executionFailed;
  auto* product = new Product{operationA != 0, operationB != 0, m, n, k, *static_cast<const float*>(alpha), *static_cast<const float*>(beta), hostA, hostB, hostC};
  return enqueue(handle->stream, Product::run, product) == 0 ? success : executionFailed;
}
