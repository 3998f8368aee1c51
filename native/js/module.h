// NativeModule: kernels that a device has loaded.
#pragma once

#include "js/resource.h"

namespace lossc {

class ModuleHandle : public Napi::ObjectWrap<ModuleHandle>, public Resource {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Object make(Napi::Env env, const std::shared_ptr<Belongings>& owner, std::shared_ptr<Module> module);
  /// The module behind the value, null where the value is something else.
  static ModuleHandle* from(const Napi::Value& value);

  explicit ModuleHandle(const Napi::CallbackInfo& info);
  ~ModuleHandle() override;

  /// DISPOSED where there is none any more; USAGE where it belongs to another device.
  const std::shared_ptr<Module>& module(const Belongings& owner) const;
  void release() override;

 private:
  Napi::Value dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<Belongings> owner_;
  std::shared_ptr<Module> module_;
};

}  // namespace lossc
