// The entry of the addon. `runtime/addon/native.ts` declares its exports as NativeAddon.
#include <napi.h>

#include "core/host.h"
#include "cpu/cpu_backend.h"
#include "cuda/cuda_backend.h"
#include "emulator/emulated_backend.h"
#include "js/addon_data.h"
#include "js/arguments.h"
#include "js/buffer.h"
#include "js/device.h"
#include "js/errors.h"
#include "js/module.h"
#include "js/queries.h"

namespace lossc {
namespace {

constexpr int maxThreads = 1024;
constexpr int maxOrdinal = 1023;

Napi::Value openCpu(const Napi::CallbackInfo& info) {
  return throwing(info.Env(), [&]() -> Napi::Value {
    const auto threads = toInteger(toObject(info[0], "options").Get("threads"), "threads", 0, maxThreads);
    return Device::make(info.Env(), std::make_shared<CpuBackend>(static_cast<int>(threads)));
  });
}

Napi::Value openEmulated(const Napi::CallbackInfo& info) {
  return throwing(info.Env(), [&]() -> Napi::Value {
    const auto options = toObject(info[0], "options");
    const auto value = options.Get("order");
    const auto races = options.Get("races");
    if (!races.IsUndefined() && !races.IsBoolean()) throw Fault(Code::usage, "races must be a boolean");
    using Kind = emulator::Order::Kind;
    emulator::Order order;
    if (value.IsNumber()) {
      order = {Kind::seeded, static_cast<std::uint64_t>(toInteger(value, "order", 0, maxSafeInteger))};
    } else {
      const auto name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
      if (name != "forward" && name != "reverse") throw Fault(Code::usage, "order must be \"forward\", \"reverse\" or a seed");
      order.kind = name == "forward" ? Kind::forward : Kind::reverse;
    }
    return Device::make(info.Env(), std::make_shared<EmulatedBackend>(order, races.IsBoolean() && races.As<Napi::Boolean>().Value()));
  });
}

Napi::Value openCuda(const Napi::CallbackInfo& info) {
  return throwing(info.Env(), [&]() -> Napi::Value {
    const auto ordinal = toInteger(toObject(info[0], "options").Get("ordinal"), "ordinal", 0, maxOrdinal);
    return Device::make(info.Env(), std::make_shared<cuda::CudaBackend>(std::make_shared<cuda::Gpu>(static_cast<int>(ordinal))));
  });
}

Napi::Value cpuFeatures(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), host::features()); }

Napi::Value overlap(const Napi::CallbackInfo& info) {
  return throwing(info.Env(), [&]() -> Napi::Value {
    const auto a = toBytes(info[0], "a"), b = toBytes(info[1], "b");
    const bool common = a.size > 0 && b.size > 0 && a.data < b.data + b.size && b.data < a.data + a.size;
    return Napi::Boolean::New(info.Env(), common);
  });
}

void define(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData{};
  env.SetInstanceData(data);
  data->device = Napi::Persistent(Device::define(env));
  data->buffer = Napi::Persistent(Buffer::define(env));
  data->module = Napi::Persistent(ModuleHandle::define(env));
  exports.Set("openCpu", Napi::Function::New<openCpu>(env, "openCpu"));
  exports.Set("openEmulated", Napi::Function::New<openEmulated>(env, "openEmulated"));
  exports.Set("openCuda", Napi::Function::New<openCuda>(env, "openCuda"));
  exports.Set("listCuda", Napi::Function::New<listCuda>(env, "listCuda"));
  exports.Set("libraries", Napi::Function::New<libraries>(env, "libraries"));
  exports.Set("compileCuda", Napi::Function::New<compileCuda>(env, "compileCuda"));
  exports.Set("cpuFeatures", Napi::Function::New<cpuFeatures>(env, "cpuFeatures"));
  exports.Set("overlap", Napi::Function::New<overlap>(env, "overlap"));
}

}  // namespace
}  // namespace lossc

static Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  lossc::define(env, exports);
  return exports;
}

NODE_API_MODULE(lossc, initialise)
