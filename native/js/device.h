// NativeDevice: a backend and its thread.
#pragma once

#include "core/backend.h"
#include "js/handle.h"

namespace lossc {

class Device : public Handle<Device, std::shared_ptr<Backend>> {
 public:
  static constexpr auto constructor = &AddonData::device;
  static constexpr auto origin = "a device is made by openCpu, openEmulated or openCuda";

  static Napi::Function define(Napi::Env env);

  explicit Device(const Napi::CallbackInfo& info);
  ~Device() override;

 private:
  Napi::Value kind(const Napi::CallbackInfo& info);
  Napi::Value name(const Napi::CallbackInfo& info);
  Napi::Value architecture(const Napi::CallbackInfo& info);
  Napi::Value hostMemory(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value launches(const Napi::CallbackInfo& info);
  Napi::Value bytesRead(const Napi::CallbackInfo& info);
  Napi::Value bytesWritten(const Napi::CallbackInfo& info);
  Napi::Value allocate(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  void checkOpen() const;

  std::shared_ptr<Belongings> belongings_;
  /// The promise of the first `dispose`.
  Napi::Reference<Napi::Promise> disposal_;
};

}  // namespace lossc
