#include "js/buffer.h"

#include "js/addon_data.h"
#include "js/errors.h"

namespace lossc {
namespace {

const napi_type_tag tag{0x6c6f737363204275, 0x66666572206f6e65};

struct Parts {
  std::shared_ptr<Belongings> owner;
  std::shared_ptr<Allocation> allocation;
};

}  // namespace

Napi::Function Buffer::define(Napi::Env env) {
  return DefineClass(env, "NativeBuffer",
                     {InstanceAccessor<&Buffer::byteLength>("byteLength", napi_enumerable), InstanceMethod<&Buffer::dispose>("dispose")});
}

Napi::Object Buffer::make(Napi::Env env, const std::shared_ptr<Belongings>& owner, std::shared_ptr<Allocation> allocation) {
  Parts parts{owner, std::move(allocation)};
  return AddonData::of(env).buffer.New({Napi::External<Parts>::New(env, &parts)});
}

Buffer::Buffer(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (!info[0].IsExternal()) throw toError(info.Env(), Fault(Code::usage, "a buffer is made by device.allocate(bytes)"));
  auto& parts = *info[0].As<Napi::External<Parts>>().Data();
  info.This().As<Napi::Object>().TypeTag(&tag);
  owner_ = std::move(parts.owner);
  allocation_ = std::move(parts.allocation);
  bytes_ = allocation_->bytes;
  owner_->resources.emplace(static_cast<Buffer*>(this), this);
  Napi::MemoryManagement::AdjustExternalMemory(Env(), static_cast<std::int64_t>(bytes_));
}

Buffer::~Buffer() { release(); }

void Buffer::release() {
  if (allocation_ == nullptr) return;
  owner_->resources.erase(static_cast<Buffer*>(this));
  owner_->worker->discard(std::move(allocation_));
  allocation_ = nullptr;
  Napi::MemoryManagement::AdjustExternalMemory(Env(), -static_cast<std::int64_t>(bytes_));
}

const std::shared_ptr<Allocation>& Buffer::of(const Napi::Value& value, const Belongings& owner, const char* what) {
  const auto known = owner.resources.find(wrapped(value));
  if (known != owner.resources.end())
    if (auto* handle = dynamic_cast<Buffer*>(known->second)) return handle->allocation_;
  // Something is wrong: the tag tells what.
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&tag)) throw Fault(Code::usage, std::string(what) + " must be a buffer of the device");
  if (Unwrap(value.As<Napi::Object>())->allocation_ == nullptr) throw Fault(Code::disposed, std::string(what) + " has been disposed of");
  throw Fault(Code::usage, std::string(what) + " belongs to another device");
}

Napi::Value Buffer::byteLength(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), static_cast<double>(bytes_)); }

Napi::Value Buffer::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

}  // namespace lossc
