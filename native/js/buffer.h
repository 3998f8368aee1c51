// NativeBuffer: memory of a device.
#pragma once

#include "js/resource.h"

namespace lossc {

class Buffer : public Napi::ObjectWrap<Buffer>, public Resource {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Object make(Napi::Env env, const std::shared_ptr<Belongings>& owner, std::shared_ptr<Allocation> allocation);
  /// The buffer behind the value, null where the value is something else.
  static Buffer* from(const Napi::Value& value);

  explicit Buffer(const Napi::CallbackInfo& info);
  ~Buffer() override;

  /// DISPOSED where there is none any more; USAGE where it belongs to another device.
  const std::shared_ptr<Allocation>& allocation(const Belongings& owner) const;
  void release() override;

 private:
  Napi::Value byteLength(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<Belongings> owner_;
  std::shared_ptr<Allocation> allocation_;
  std::size_t bytes_ = 0;
};

}  // namespace lossc
