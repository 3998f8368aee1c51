// A file for the dynamic linker that nobody can exchange while it is opened.
#pragma once

#include <string>
#include <vector>

namespace lossc {

/// On Linux the file lies in memory (memfd_create), so that a folder's mount options (noexec), free space and permissions do not matter. Where the
/// system has no such files, it is a private file in `$TMPDIR`, removed at the latest with the image.
class Image {
 public:
  /// DEVICE_FAULT where no file can be written.
  explicit Image(const std::vector<unsigned char>& bytes);
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  ~Image();

  /// For `dlopen`. It is unique while this image lives, since the linker identifies libraries by name.
  const std::string& path() const { return path_; }

 private:
  int descriptor_ = -1;
  std::string path_;
  /// The name of the file; empty for a file in memory.
  std::string file_;
};

}  // namespace lossc
