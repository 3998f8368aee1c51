// A fiber: a separate stack that its thread enters and leaves by function calls.
#pragma once

#include <cstddef>

namespace lossc::emulator {

class Fiber {
 public:
  using Entry = void(void* context);

  Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();

  /// Makes the next `resume` call the entry on an empty stack.
  void start(Entry* entry, void* context);
  /// Runs the fiber until it suspends or its entry returns.
  void resume();
  /// On the fiber: returns to the caller of `resume`.
  void suspend();
  bool finished() const { return finished_; }

 private:
  static void main(void* fiber);

  /// The mapping: a guard page that catches an overflow, and the stack above it.
  unsigned char* mapping_ = nullptr;
  void* saved_ = nullptr;
  void* resumer_ = nullptr;
  Entry* entry_ = nullptr;
  void* context_ = nullptr;
  bool finished_ = true;
  // AddressSanitizer needs a call at every change of stacks.
  void* shadow_ = nullptr;
  const void* resumerStack_ = nullptr;
  std::size_t resumerStackBytes_ = 0;
};

}  // namespace lossc::emulator
