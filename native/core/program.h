// A program: the commands of one call of `run`, with every address resolved and every range checked. It uses nothing of JavaScript.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/fault.h"

namespace lossc {

/// Memory of a device; the derived class's destructor frees it.
struct Allocation {
  Allocation(std::uintptr_t address, std::size_t bytes) : address(address), bytes(bytes) {}
  Allocation(const Allocation&) = delete;
  Allocation& operator=(const Allocation&) = delete;
  virtual ~Allocation() = default;

  const std::uintptr_t address;
  const std::size_t bytes;
};

/// A loaded binary; the derived class's destructor unloads it.
struct Module {
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;
};

struct Launch {
  std::shared_ptr<Module> module;
  std::string kernel;
  std::int64_t elements;
  std::int64_t perBlock;
  int block;
  /// Blocks that work on the same elements.
  int cluster;
  /// Bytes of shared memory for each block.
  int shared;
  /// The argument struct, addresses filled in.
  std::vector<std::uint64_t> arguments;

  std::int64_t blocks() const { return (elements / perBlock + (elements % perBlock != 0)) * cluster; }
};

struct Write {
  std::uintptr_t to;
  const void* from;
  std::size_t bytes;
};

struct Read {
  void* to;
  std::uintptr_t from;
  std::size_t bytes;
};

/// A copy within the device. The two places do not overlap.
struct Copy {
  std::uintptr_t to;
  std::uintptr_t from;
  std::size_t bytes;
};

struct Fill {
  std::uintptr_t to;
  std::size_t bytes;
  unsigned char value;
};

enum class Dtype { f32, bf16, f16 };

constexpr std::size_t bytesOf(Dtype dtype) { return dtype == Dtype::f32 ? 4 : 2; }

/// Row-major, row after row without a gap.
struct Matrix {
  std::uintptr_t address;
  Dtype dtype;
};

/// c (m × n) = alpha · op(a) · op(b) + beta · c, accumulated in float32 and rounded once. A beta of 0 does not read c.
struct Matmul {
  Matrix a, b, c;
  int m, n, k;
  bool transposeA, transposeB;
  float alpha, beta;

  /// Entries of a row of a and of b in memory. The libraries require at least 1.
  int rowOfA() const { return std::max(1, transposeA ? m : k); }
  int rowOfB() const { return std::max(1, transposeB ? k : n); }
};

using Command = std::variant<Launch, Write, Read, Copy, Fill, Matmul>;

struct Program {
  std::vector<Command> commands;
  /// Device memory that the commands name. It keeps a buffer alive that is disposed of while the program waits.
  std::vector<std::shared_ptr<Allocation>> owners;
};

/// The one abort flag of a program. It is raised by the caller's flag, or by the end of the environment that the program belongs to.
class Interrupt {
 public:
  Interrupt(const std::int32_t* flag, const std::atomic<bool>* stopping) : flag_(flag), stopping_(stopping) {}

  bool raised() const {
    return (flag_ != nullptr && __atomic_load_n(flag_, __ATOMIC_RELAXED) != 0) || stopping_->load(std::memory_order_relaxed);
  }

  void check() const {
    if (raised()) throw Fault(Code::aborted, "the program was aborted");
  }

 private:
  const std::int32_t* flag_;
  const std::atomic<bool>* stopping_;
};

}  // namespace lossc
