// Kernels in a shared object.
#pragma once

#include <string>
#include <unordered_map>

#include "core/program.h"

namespace lossc {

class SharedObject : public Module {
 public:
  explicit SharedObject(const std::string& path);
  ~SharedObject() override;

  /// The entry point; a name that the object does not export is USAGE. Only on the thread of the device.
  void* kernel(const std::string& name);

 private:
  const std::string path_;
  void* handle_;
  std::unordered_map<std::string, void*> kernels_;
};

}  // namespace lossc
