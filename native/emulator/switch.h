// The change of stacks: in assembly for x86-64 and arm64, by ucontext elsewhere.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) && !defined(__aarch64__)
#define LOSSC_UCONTEXT 1
#endif

extern "C" {
/// Saves the caller's registers on its stack and the stack pointer in `*save`, and returns from the call that saved `to`.
void losscSwitchStack(void** save, void* to);
}

namespace lossc::emulator {

/// A stack on which the next switch calls `entry(context)`, which must not return.
void* prepareStack(unsigned char* bottom, std::size_t bytes, void (*entry)(void*), void* context);

}  // namespace lossc::emulator
