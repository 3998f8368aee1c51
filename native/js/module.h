// NativeModule: kernels that a device has loaded.
#pragma once

#include "js/handle.h"

namespace lossc {

class ModuleHandle : public ResourceHandle<ModuleHandle, Module> {
 public:
  static constexpr auto constructor = &AddonData::module;
  static constexpr auto origin = "a module is made by device.load(binary)";
  static constexpr auto noun = "module";
  static constexpr napi_type_tag tag{0x6c6f737363204d6f, 0x64756c65206f6e65};

  static Napi::Function define(Napi::Env env) { return DefineClass(env, "NativeModule", {disposeMethod()}); }
  static std::int64_t bytesOf(const Module&) { return 0; }

  explicit ModuleHandle(const Napi::CallbackInfo& info) : ResourceHandle(info) {}
};

}  // namespace lossc
