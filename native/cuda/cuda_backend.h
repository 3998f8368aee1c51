// The cuda device: one GPU, one stream, commands in the order of the program.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "core/backend.h"
#include "cuda/blas.h"
#include "cuda/gpu.h"

namespace lossc::cuda {

class CudaBackend : public Backend {
 public:
  explicit CudaBackend(std::shared_ptr<Gpu> gpu);
  ~CudaBackend() override;

  std::shared_ptr<Allocation> allocate(std::size_t bytes) override;
  std::shared_ptr<lossc::Module> load(const Binary& binary) override;
  void run(Program& program, const Interrupt& interrupt) override;
  void close() override;

 private:
  void closeBlas();
  void submit(const Launch& launch, const Interrupt& interrupt);
  void submit(const Write& write, const Interrupt& interrupt);
  void submit(const Read& read, const Interrupt& interrupt);
  void submit(const Copy& copy, const Interrupt& interrupt);
  void submit(const Fill& fill, const Interrupt& interrupt);
  void submit(const Matmul& matmul, const Interrupt& interrupt);
  void launch(const Launch& launch, Stream stream);
  void fill(const Fill& fill, Stream stream);
  /// False where the commands must be submitted one by one.
  bool replay(const Graphs::Commands& commands);

  std::shared_ptr<Gpu> gpu_;
  Blas blas_;
};

}  // namespace lossc::cuda
