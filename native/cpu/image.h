// Bytes as a file that the dynamic linker can open and that nobody can exchange meanwhile.
#pragma once

#include <string>
#include <vector>

namespace lossc {

/// On Linux it lies in memory alone (memfd_create). Folders that let no programs run (noexec), that are full, or that others may write to do not
/// matter then. Where the system makes no such file, it is one of this user's in `$TMPDIR`, removed at the latest with the image.
class Image {
 public:
  /// DEVICE_FAULT where the system lets no file be written.
  explicit Image(const std::vector<unsigned char>& bytes);
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  ~Image();

  /// For `dlopen`. No other image has it while this one lives: the linker takes two libraries of one name for the same.
  const std::string& path() const { return path_; }

 private:
  int descriptor_ = -1;
  std::string path_;
  /// The file's own name, where it has one.
  std::string file_;
};

}  // namespace lossc
