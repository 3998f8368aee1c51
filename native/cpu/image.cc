#include "cpu/image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/fault.h"

namespace lossc {
namespace {

/// An executable file in memory; -1 where the system has none.
int openInMemory() {
#ifdef SYS_memfd_create
  // By number, for C libraries older than the kernel: MFD_CLOEXEC, MFD_ALLOW_SEALING, and MFD_EXEC, which kernels before 6.3 do not know.
  constexpr unsigned flags = 1U | 2U, executable = 16U;
  const auto make = [](unsigned wanted) { return static_cast<int>(syscall(SYS_memfd_create, "lossc-kernels", wanted)); };
  const int descriptor = make(flags | executable);
  return descriptor < 0 && errno == EINVAL ? make(flags) : descriptor;
#else
  return -1;
#endif
}

/// Seals the file: nobody can change it, this process included.
void seal(int descriptor) {
#if defined(SYS_memfd_create) && defined(F_ADD_SEALS)
  fcntl(descriptor, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
#else
  static_cast<void>(descriptor);
#endif
}

bool writeAll(int descriptor, const unsigned char* data, std::size_t size) {
  while (size > 0) {
    const auto written = write(descriptor, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

/// The path of a descriptor. Through it the linker opens the file that was written, even if its name was given to another file.
std::string byDescriptor(int descriptor) {
  const auto path = "/proc/self/fd/" + std::to_string(descriptor);
  return access(path.c_str(), F_OK) == 0 ? path : "";
}

std::string temporaryFolder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder == '/' ? folder : "/tmp";
}

}  // namespace

Image::Image(const std::vector<unsigned char>& bytes) {
  descriptor_ = openInMemory();
  if (descriptor_ >= 0) path_ = byDescriptor(descriptor_);
  if (path_.empty() || !writeAll(descriptor_, bytes.data(), bytes.size())) {
    if (descriptor_ >= 0) close(descriptor_);
    file_ = temporaryFolder() + "/lossc-kernels-XXXXXX";
    // Mode 0600, and always a new file.
    descriptor_ = mkostemp(file_.data(), O_CLOEXEC);
    if (descriptor_ < 0 || !writeAll(descriptor_, bytes.data(), bytes.size())) {
      const std::string reason = std::strerror(errno);
      if (descriptor_ >= 0) {
        close(descriptor_);
        unlink(file_.c_str());
      }
      throw Fault(Code::deviceFault, "cannot load the kernels: writing " + file_ + " failed (" + reason + "); name a folder with room in $TMPDIR");
    }
    path_ = byDescriptor(descriptor_);
    if (path_.empty()) {
      path_ = file_;
    } else {
      // A file without a name is removed with the process, however that ends.
      unlink(file_.c_str());
      file_.clear();
    }
  } else {
    seal(descriptor_);
  }
}

Image::~Image() {
  close(descriptor_);
  if (!file_.empty()) unlink(file_.c_str());
}

}  // namespace lossc
