// A fiber: a stack of its own, entered and left by plain function calls of the thread that owns it.
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

  /// The next `resume` calls the entry on this fiber's stack; what was left there is forgotten.
  void start(Entry* entry, void* context);
  /// Runs the fiber until it suspends or its entry returns.
  void resume();
  /// On the fiber: back to whoever resumed it.
  void suspend();
  bool finished() const { return finished_; }

 private:
  static void main(void* fiber);

  /// The mapping: a guard page, which a stack that grows too far runs into, and the stack above it.
  unsigned char* mapping_ = nullptr;
  void* saved_ = nullptr;
  void* resumer_ = nullptr;
  Entry* entry_ = nullptr;
  void* context_ = nullptr;
  bool finished_ = true;
  // AddressSanitizer has to be told of every change of stacks.
  void* shadow_ = nullptr;
  const void* resumerStack_ = nullptr;
  std::size_t resumerStackBytes_ = 0;
};

}  // namespace lossc::emulator
