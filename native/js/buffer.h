// NativeBuffer: memory of a device.
#pragma once

#include "js/resource.h"

namespace lossc {

class Buffer : public Napi::ObjectWrap<Buffer>, public Resource {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Object make(Napi::Env env, const std::shared_ptr<Belongings>& owner, std::shared_ptr<Allocation> allocation);

  explicit Buffer(const Napi::CallbackInfo& info);
  ~Buffer() override;

  /// What lies behind the value. USAGE where it is something else or of another device, DISPOSED where it has been disposed of.
  static const std::shared_ptr<Allocation>& of(const Napi::Value& value, const Belongings& owner, const char* what);
  void release() override;

 private:
  Napi::Value byteLength(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<Belongings> owner_;
  std::shared_ptr<Allocation> allocation_;
  std::size_t bytes_ = 0;
};

}  // namespace lossc
