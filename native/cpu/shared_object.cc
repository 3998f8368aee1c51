#include "cpu/shared_object.h"

#include <dlfcn.h>

namespace lossc {

SharedObject::SharedObject(const std::string& path) : path_(path), handle_(nullptr) {
  // Without a slash the dynamic linker would search its own folders.
  const auto file = path.find('/') == std::string::npos ? "./" + path : path;
  handle_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ == nullptr) {
    const char* reason = dlerror();
    throw Fault(Code::deviceFault, "cannot load the kernels: " + std::string(reason != nullptr ? reason : path));
  }
}

SharedObject::~SharedObject() { dlclose(handle_); }

void* SharedObject::kernel(const std::string& name) {
  if (const auto known = kernels_.find(name); known != kernels_.end()) return known->second;
  void* address = dlsym(handle_, name.c_str());
  if (address == nullptr) throw Fault(Code::usage, "there is no kernel \"" + name + "\" in " + path_);
  kernels_.emplace(name, address);
  return address;
}

}  // namespace lossc
