// Kernels in a shared object.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "core/program.h"
#include "cpu/image.h"

namespace lossc {

class SharedObject : public Module {
 public:
  explicit SharedObject(const std::vector<unsigned char>& bytes);
  ~SharedObject() override;

  /// The entry point; a name that the object does not export is USAGE. Only on the thread of the device.
  void* kernel(const std::string& name);

 private:
  /// Kept as long as the kernels are loaded, for its path must stay taken.
  const Image image_;
  void* handle_;
  std::unordered_map<std::string, void*> kernels_;
};

}  // namespace lossc
