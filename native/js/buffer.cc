#include "js/buffer.h"

namespace lossc {

Napi::Function Buffer::define(Napi::Env env) {
  return DefineClass(env, "NativeBuffer", {InstanceAccessor<&Buffer::byteLength>("byteLength", napi_enumerable), disposeMethod()});
}

Napi::Value Buffer::byteLength(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), static_cast<double>(bytes())); }

}  // namespace lossc
