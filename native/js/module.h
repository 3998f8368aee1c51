// NativeModule: kernels that a device has loaded.
#pragma once

#include "js/resource.h"

namespace lossc {

class ModuleHandle : public Napi::ObjectWrap<ModuleHandle>, public Resource {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Object make(Napi::Env env, const std::shared_ptr<Belongings>& owner, std::shared_ptr<Module> module);

  explicit ModuleHandle(const Napi::CallbackInfo& info);
  ~ModuleHandle() override;

  /// What lies behind the value. USAGE where it is something else or of another device, DISPOSED where it has been disposed of.
  static const std::shared_ptr<Module>& of(const Napi::Value& value, const Belongings& owner, const char* what);
  void release() override;

 private:
  Napi::Value dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<Belongings> owner_;
  std::shared_ptr<Module> module_;
};

}  // namespace lossc
