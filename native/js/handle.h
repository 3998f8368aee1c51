// JavaScript's handles: objects that keep something of C++ alive.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "core/program.h"
#include "js/addon_data.h"
#include "js/errors.h"
#include "js/worker.h"

namespace lossc {

/// A JavaScript object that holds a value of C++. Only C++ makes one: JavaScript cannot construct `Self`.
///
/// `Self` has `constructor`, the member of AddonData with its class, and `origin`, the message of an attempt to construct it.
template <typename Self, typename Held>
class Handle : public Napi::ObjectWrap<Self> {
 public:
  static Napi::Object make(Napi::Env env, Held held) {
    return (AddonData::of(env).*Self::constructor).New({Napi::External<Held>::New(env, &held)});
  }

 protected:
  explicit Handle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Self>(info) {
    if (!info[0].IsExternal()) throw toError(info.Env(), Fault(Code::usage, Self::origin));
    held_ = std::move(*info[0].As<Napi::External<Held>>().Data());
  }

  Held held_;
};

/// Part of a device that can be released by hand, with the device, or by the finalizer.
class Resource {
 public:
  virtual ~Resource() = default;
  virtual void release() = 0;
};

/// State that the handles of one device share. JavaScript thread only.
struct Belongings {
  explicit Belongings(std::shared_ptr<Worker> worker) : worker(std::move(worker)) {}

  const std::shared_ptr<Worker> worker;
  /// The device has been disposed of: nothing may be added.
  bool disposed = false;
  /// Handles that have not been released, by the pointer that Node-API keeps for the object. A pointer that is found here belongs to this device and
  /// is alive. This check is faster than a check of the object's tag.
  std::unordered_map<const void*, Resource*> resources;
};

/// An allocation or a module together with the device that it belongs to.
template <typename Item>
struct Owned {
  std::shared_ptr<Belongings> owner;
  std::shared_ptr<Item> item;
};

/// A handle on an allocation or a module of a device.
///
/// `Self` has, besides what Handle asks for, `tag`, `noun` for messages, and `bytesOf`, the memory that V8 is to count for an item.
template <typename Self, typename Item>
class ResourceHandle : public Handle<Self, Owned<Item>>, public Resource {
 public:
  ~ResourceHandle() override { release(); }

  /// The item behind a value. USAGE where the value is something else or of another device, DISPOSED where it has been disposed of.
  static const std::shared_ptr<Item>& of(const Napi::Value& value, const Belongings& owner, const char* what) {
    void* pointer = nullptr;
    if (napi_unwrap(value.Env(), value, &pointer) != napi_ok) pointer = nullptr;
    if (const auto known = owner.resources.find(pointer); known != owner.resources.end())
      if (auto* handle = dynamic_cast<Self*>(known->second)) return handle->held_.item;
    // The value is refused. Its tag decides with which message.
    if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&Self::tag))
      throw Fault(Code::usage, std::string(what) + " must be a " + Self::noun + " of the device");
    if (Self::Unwrap(value.As<Napi::Object>())->held_.item == nullptr) throw Fault(Code::disposed, std::string(what) + " has been disposed of");
    throw Fault(Code::usage, std::string(what) + " belongs to another device");
  }

  void release() override {
    auto& [owner, item] = this->held_;
    if (item == nullptr) return;
    owner->resources.erase(pointer_);
    owner->worker->discard(std::move(item));
    item = nullptr;
    Napi::MemoryManagement::AdjustExternalMemory(this->Env(), -bytes_);
  }

 protected:
  explicit ResourceHandle(const Napi::CallbackInfo& info)
      : Handle<Self, Owned<Item>>(info), pointer_(static_cast<Self*>(this)), bytes_(Self::bytesOf(*this->held_.item)) {
    info.This().template As<Napi::Object>().TypeTag(&Self::tag);
    this->held_.owner->resources.emplace(pointer_, this);
    Napi::MemoryManagement::AdjustExternalMemory(this->Env(), bytes_);
  }

  /// The descriptor of the method `dispose`.
  static auto disposeMethod() {
    return Self::InstanceMethod("dispose", static_cast<typename Napi::InstanceWrap<Self>::InstanceMethodCallback>(&ResourceHandle::dispose));
  }

  std::int64_t bytes() const { return bytes_; }

 private:
  Napi::Value dispose(const Napi::CallbackInfo& info) {
    release();
    return info.Env().Undefined();
  }

  const void* const pointer_;
  const std::int64_t bytes_;
};

}  // namespace lossc
