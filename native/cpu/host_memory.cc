#include "cpu/host_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace lossc {
namespace {

// Large memory comes from the kernel: its pages are zero when they are first touched, by the threads that work on them. With
// AddressSanitizer all of it comes from the heap, which guards both ends.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t mapFrom = ~std::size_t{0};
#else
constexpr std::size_t mapFrom = 256 * 1024;
#endif

[[noreturn]] void outOfMemory(std::size_t bytes) {
  throw Fault(Code::deviceOutOfMemory, "no host memory for a buffer of " + std::to_string(bytes) + " bytes");
}

}  // namespace

std::shared_ptr<HostMemory> HostMemory::make(std::size_t bytes) {
  if (bytes >= mapFrom) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) outOfMemory(bytes);
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return std::make_shared<HostMemory>(memory, bytes, bytes);
  }
  void* memory = nullptr;
  if (posix_memalign(&memory, memoryAlignment, bytes == 0 ? 1 : bytes) != 0) outOfMemory(bytes);
  std::memset(memory, 0, bytes);
  return std::make_shared<HostMemory>(memory, bytes, 0);
}

HostMemory::HostMemory(void* memory, std::size_t bytes, std::size_t mapped)
    : Allocation(reinterpret_cast<std::uintptr_t>(memory), bytes), mapped_(mapped) {}

HostMemory::~HostMemory() {
  void* memory = reinterpret_cast<void*>(address);
  if (mapped_ > 0) {
    munmap(memory, mapped_);
  } else {
    std::free(memory);
  }
}

}  // namespace lossc
