#include "emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "emulator/switch.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define LOSSC_ASAN(statement) statement
#else
#define LOSSC_ASAN(statement)
#endif

namespace lossc::emulator {
namespace {

/// Enough for a row in registers, in unoptimised builds too. Only touched pages take memory.
constexpr std::size_t stackBytes = 256 * 1024;

std::size_t guardBytes() {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return page;
}

}  // namespace

Fiber::Fiber() {
  void* mapping = mmap(nullptr, guardBytes() + stackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<unsigned char*>(mapping);
  mprotect(mapping_, guardBytes(), PROT_NONE);
}

Fiber::~Fiber() {
  LOSSC_ASAN(__asan_unpoison_memory_region(mapping_ + guardBytes(), stackBytes);)
  munmap(mapping_, guardBytes() + stackBytes);
}

void Fiber::start(Entry* entry, void* context) {
  // Frames that were never left are still marked as live.
  LOSSC_ASAN(__asan_unpoison_memory_region(mapping_ + guardBytes(), stackBytes);)
  entry_ = entry;
  context_ = context;
  finished_ = false;
  shadow_ = nullptr;
  saved_ = prepareStack(mapping_ + guardBytes(), stackBytes, main, this);
}

void Fiber::resume() {
  LOSSC_ASAN(void* own = nullptr; __sanitizer_start_switch_fiber(&own, mapping_ + guardBytes(), stackBytes);)
  losscSwitchStack(&resumer_, saved_);
  LOSSC_ASAN(__sanitizer_finish_switch_fiber(own, nullptr, nullptr);)
}

void Fiber::suspend() {
  LOSSC_ASAN(__sanitizer_start_switch_fiber(finished_ ? nullptr : &shadow_, resumerStack_, resumerStackBytes_);)
  losscSwitchStack(&saved_, resumer_);
  LOSSC_ASAN(__sanitizer_finish_switch_fiber(shadow_, &resumerStack_, &resumerStackBytes_);)
}

void Fiber::main(void* data) {
  auto* fiber = static_cast<Fiber*>(data);
  LOSSC_ASAN(__sanitizer_finish_switch_fiber(nullptr, &fiber->resumerStack_, &fiber->resumerStackBytes_);)
  fiber->entry_(fiber->context_);
  fiber->finished_ = true;
  fiber->suspend();
  __builtin_unreachable();
}

}  // namespace lossc::emulator
