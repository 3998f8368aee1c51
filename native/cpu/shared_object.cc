#include "cpu/shared_object.h"

#include <dlfcn.h>

namespace lossc {

SharedObject::SharedObject(const std::vector<unsigned char>& bytes) : image_(bytes), handle_(dlopen(image_.path().c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) {
    const char* reason = dlerror();
    throw Fault(Code::deviceFault, "cannot load the kernels: " + std::string(reason != nullptr ? reason : "the dynamic linker does not say why"));
  }
}

SharedObject::~SharedObject() { dlclose(handle_); }

void* SharedObject::kernel(const std::string& name) {
  if (const auto known = kernels_.find(name); known != kernels_.end()) return known->second;
  void* address = dlsym(handle_, name.c_str());
  if (address == nullptr) throw Fault(Code::usage, "there is no kernel \"" + name + "\" in the module");
  kernels_.emplace(name, address);
  return address;
}

}  // namespace lossc
