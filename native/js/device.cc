#include "js/device.h"

#include "js/arguments.h"
#include "js/buffer.h"
#include "js/module.h"
#include "js/parse.h"
#include "js/tasks.h"

namespace lossc {

Napi::Function Device::define(Napi::Env env) {
  return DefineClass(env, "NativeDevice",
                     {InstanceAccessor<&Device::kind>("kind", napi_enumerable), InstanceAccessor<&Device::name>("name", napi_enumerable),
                      InstanceAccessor<&Device::architecture>("architecture", napi_enumerable),
                      InstanceAccessor<&Device::hostMemory>("hostMemory", napi_enumerable),
                      InstanceAccessor<&Device::threads>("threads", napi_enumerable),
                      InstanceAccessor<&Device::launches>("launches", napi_enumerable),
                      InstanceAccessor<&Device::bytesRead>("bytesRead", napi_enumerable),
                      InstanceAccessor<&Device::bytesWritten>("bytesWritten", napi_enumerable),
                      InstanceMethod<&Device::allocate>("allocate"), InstanceMethod<&Device::load>("load"), InstanceMethod<&Device::run>("run"),
                      InstanceMethod<&Device::dispose>("dispose")});
}

Device::Device(const Napi::CallbackInfo& info) : Handle(info) {
  belongings_ = throwing(info.Env(), [&] { return std::make_shared<Belongings>(std::make_shared<Worker>(info.Env())); });
}

Device::~Device() {
  // A device that still runs something is not collected. Buffers may live on; they are then freed on the JavaScript thread.
  if (belongings_ != nullptr) belongings_->worker->stop();
}

void Device::checkOpen() const {
  if (belongings_->disposed) throw Fault(Code::disposed, "the device has been disposed of");
}

Napi::Value Device::kind(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), held_->description.kind); }
Napi::Value Device::name(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), held_->description.name); }
Napi::Value Device::architecture(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), held_->description.architecture); }
Napi::Value Device::hostMemory(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), held_->description.hostMemory); }
Napi::Value Device::threads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), held_->description.threads); }
Napi::Value Device::launches(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(held_->launches.load(std::memory_order_relaxed)));
}

Napi::Value Device::bytesRead(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(held_->bytesRead.load(std::memory_order_relaxed)));
}
Napi::Value Device::bytesWritten(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(held_->bytesWritten.load(std::memory_order_relaxed)));
}

Napi::Value Device::allocate(const Napi::CallbackInfo& info) {
  return throwing(info.Env(), [&]() -> Napi::Value {
    checkOpen();
    const auto bytes = static_cast<std::size_t>(toInteger(info[0], "bytes", 0, maxSafeInteger));
    std::shared_ptr<Allocation> allocation;
    const auto collections = belongings_->worker->collections();
    try {
      allocation = held_->allocate(bytes);
    } catch (const Fault& fault) {
      if (fault.code != Code::deviceOutOfMemory) throw;
      // Memory of disposed buffers may still wait to be freed. Where none does, a second attempt would fail the same way.
      belongings_->worker->collect();
      if (belongings_->worker->collections() == collections) throw;
      allocation = held_->allocate(bytes);
    }
    return Buffer::make(info.Env(), {belongings_, std::move(allocation)});
  });
}

Napi::Value Device::load(const Napi::CallbackInfo& info) {
  return rejecting(info.Env(), [&]() -> Napi::Value {
    checkOpen();
    const auto bytes = toBytes(info[0], "binary");
    if (bytes.size == 0) throw Fault(Code::usage, "the binary is empty");
    Binary binary(bytes.data, bytes.data + bytes.size);
    return belongings_->worker->submit(std::make_unique<LoadTask>(info.This().As<Napi::Object>(), held_, belongings_, std::move(binary)));
  });
}

Napi::Value Device::run(const Napi::CallbackInfo& info) {
  return rejecting(info.Env(), [&]() -> Napi::Value {
    checkOpen();
    const std::int32_t* abort = nullptr;
    if (!info[1].IsUndefined()) {
      if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array)
        throw Fault(Code::usage, "abort must be an Int32Array");
      const auto bytes = toBytes(info[1], "abort");
      if (bytes.size == 0) throw Fault(Code::range, "abort must have an element");
      abort = reinterpret_cast<const std::int32_t*>(bytes.data);
    }
    auto parsed = parse(info[0], *belongings_, held_->description.hostMemory);
    return belongings_->worker->submit(
        std::make_unique<RunTask>(info.This().As<Napi::Object>(), held_, std::move(parsed.program), parsed.views, abort, info[1]));
  });
}

Napi::Value Device::dispose(const Napi::CallbackInfo& info) {
  return rejecting(info.Env(), [&]() -> Napi::Value {
    if (!disposal_.IsEmpty()) return disposal_.Value();
    // Programs keep what they still use. Everything else is freed before the device closes, since the thread collects garbage first.
    const auto resources = belongings_->resources;
    for (const auto& [handle, resource] : resources) resource->release();
    const auto promise = belongings_->worker->submit(std::make_unique<CloseTask>(info.This().As<Napi::Object>(), held_));
    disposal_ = Napi::Persistent(promise);
    belongings_->disposed = true;
    return promise;
  });
}

}  // namespace lossc
