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

  /// The entry point. USAGE for a name that the object does not export. Only on the thread of the device.
  void* kernel(const std::string& name);

 private:
  /// Kept while the kernels are loaded, so that no other image gets its path.
  const Image image_;
  void* handle_;
  std::unordered_map<std::string, void*> kernels_;
};

}  // namespace lossc
