// The base of the devices in host memory: memory, shared objects, fills, copies and matrix products.
#pragma once

#include "core/backend.h"
#include "cpu/pool.h"
#include "cpu/products.h"
#include "cpu/shared_object.h"

namespace lossc {

class HostBackend : public Backend {
 public:
  HostBackend(Description description, int threads);

  std::shared_ptr<Allocation> allocate(std::size_t bytes) override;
  std::shared_ptr<Module> load(const Binary& binary) override;
  void run(Program& program, const Interrupt& interrupt) override;
  /// Ends the threads at once. The handle itself may wait long for the garbage collector.
  void close() override { pool_.stop(); }

 protected:
  virtual void launch(const Launch& launch, void* kernel, const Interrupt& interrupt) = 0;

  Pool pool_;

 private:
  void execute(const Launch& launch, const Interrupt& interrupt);
  void execute(const Write& write, const Interrupt& interrupt);
  void execute(const Read& read, const Interrupt& interrupt);
  void execute(const Copy& copying, const Interrupt& interrupt);
  void execute(const Fill& fill, const Interrupt& interrupt);
  void execute(const Matmul& matmul, const Interrupt& interrupt);
  void copy(unsigned char* to, const unsigned char* from, std::size_t bytes, const Interrupt& interrupt);

  Products products_;
};

}  // namespace lossc
