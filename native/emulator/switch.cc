#include "emulator/switch.h"

#include <cstdint>

#ifdef LOSSC_UCONTEXT
#include <ucontext.h>

#include <new>
#endif

#if defined(__x86_64__)

// The registers that a callee must keep, then the return address. The new stack's first return goes to losscStartStack.
asm(R"(
  .text
  .hidden losscSwitchStack
  .globl losscSwitchStack
  .type losscSwitchStack, @function
losscSwitchStack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
  .size losscSwitchStack, .-losscSwitchStack

  .hidden losscStartStack
  .globl losscStartStack
  .type losscStartStack, @function
losscStartStack:
  .cfi_startproc
  .cfi_undefined rip
  movq %r12, %rdi
  callq *%rbx
  ud2
  .cfi_endproc
  .size losscStartStack, .-losscStartStack
)");

extern "C" void losscStartStack();

void* lossc::emulator::prepareStack(unsigned char* bottom, std::size_t bytes, void (*entry)(void*), void* context) {
  auto* top = reinterpret_cast<std::uintptr_t*>((reinterpret_cast<std::uintptr_t>(bottom) + bytes) & ~std::uintptr_t{15});
  // After the return into losscStartStack the stack is aligned to 16 bytes, as a call wants it.
  top -= 2;
  *--top = reinterpret_cast<std::uintptr_t>(&losscStartStack);
  *--top = 0;                                          // rbp: the end of the chain of frames
  *--top = reinterpret_cast<std::uintptr_t>(entry);    // rbx
  *--top = reinterpret_cast<std::uintptr_t>(context);  // r12
  for (int i = 0; i < 3; ++i) *--top = 0;              // r13, r14, r15
  return top;
}

#elif defined(__aarch64__)

asm(R"(
  .text
  .hidden losscSwitchStack
  .globl losscSwitchStack
  .type losscSwitchStack, %function
losscSwitchStack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size losscSwitchStack, .-losscSwitchStack

  .hidden losscStartStack
  .globl losscStartStack
  .type losscStartStack, %function
losscStartStack:
  .cfi_startproc
  .cfi_undefined x30
  mov x0, x20
  blr x19
  brk #1
  .cfi_endproc
  .size losscStartStack, .-losscStartStack
)");

extern "C" void losscStartStack();

void* lossc::emulator::prepareStack(unsigned char* bottom, std::size_t bytes, void (*entry)(void*), void* context) {
  auto* top = reinterpret_cast<std::uintptr_t*>((reinterpret_cast<std::uintptr_t>(bottom) + bytes) & ~std::uintptr_t{15});
  top -= 20;
  for (int i = 0; i < 20; ++i) top[i] = 0;
  top[0] = reinterpret_cast<std::uintptr_t>(entry);              // x19
  top[1] = reinterpret_cast<std::uintptr_t>(context);            // x20
  top[11] = reinterpret_cast<std::uintptr_t>(&losscStartStack);  // x30
  return top;
}

#else

namespace {

struct Start {
  ucontext_t registers;
  void (*entry)(void*);
  void* context;
};

/// makecontext passes ints only.
void start(unsigned high, unsigned low) {
  const auto address = (static_cast<std::uint64_t>(high) << 32) | low;
  const auto* start = reinterpret_cast<Start*>(static_cast<std::uintptr_t>(address));
  start->entry(start->context);
}

}  // namespace

extern "C" void losscSwitchStack(void** save, void* to) {
  ucontext_t here;
  *save = &here;
  swapcontext(&here, static_cast<ucontext_t*>(to));
}

void* lossc::emulator::prepareStack(unsigned char* bottom, std::size_t bytes, void (*entry)(void*), void* context) {
  // The registers of the first switch are at the end of the stack.
  auto* first = new (bottom) Start{{}, entry, context};
  getcontext(&first->registers);
  first->registers.uc_stack.ss_sp = bottom + sizeof(Start);
  first->registers.uc_stack.ss_size = bytes - sizeof(Start);
  first->registers.uc_link = nullptr;
  const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(first));
  makecontext(&first->registers, reinterpret_cast<void (*)()>(start), 2, static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
  return &first->registers;
}

#endif
