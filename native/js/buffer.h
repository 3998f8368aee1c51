// NativeBuffer: memory of a device.
#pragma once

#include "js/handle.h"

namespace lossc {

class Buffer : public ResourceHandle<Buffer, Allocation> {
 public:
  static constexpr auto constructor = &AddonData::buffer;
  static constexpr auto origin = "a buffer is made by device.allocate(bytes)";
  static constexpr auto noun = "buffer";
  static constexpr napi_type_tag tag{0x6c6f737363204275, 0x66666572206f6e65};

  static Napi::Function define(Napi::Env env);
  static std::int64_t bytesOf(const Allocation& allocation) { return static_cast<std::int64_t>(allocation.bytes); }

  explicit Buffer(const Napi::CallbackInfo& info) : ResourceHandle(info) {}

 private:
  Napi::Value byteLength(const Napi::CallbackInfo& info);
};

}  // namespace lossc
