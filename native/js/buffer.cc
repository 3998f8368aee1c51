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

Buffer* Buffer::from(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&tag)) return nullptr;
  return Unwrap(value.As<Napi::Object>());
}

Buffer::Buffer(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (!info[0].IsExternal()) throw toError(info.Env(), Fault(Code::usage, "a buffer is made by device.allocate(bytes)"));
  auto& parts = *info[0].As<Napi::External<Parts>>().Data();
  info.This().As<Napi::Object>().TypeTag(&tag);
  owner_ = std::move(parts.owner);
  allocation_ = std::move(parts.allocation);
  bytes_ = allocation_->bytes;
  owner_->resources.insert(this);
  Napi::MemoryManagement::AdjustExternalMemory(Env(), static_cast<std::int64_t>(bytes_));
}

Buffer::~Buffer() { release(); }

void Buffer::release() {
  if (allocation_ == nullptr) return;
  owner_->resources.erase(this);
  owner_->worker->discard(std::move(allocation_));
  allocation_ = nullptr;
  Napi::MemoryManagement::AdjustExternalMemory(Env(), -static_cast<std::int64_t>(bytes_));
}

const std::shared_ptr<Allocation>& Buffer::allocation(const Belongings& owner) const {
  if (owner_.get() != &owner) throw Fault(Code::usage, "the buffer belongs to another device");
  if (allocation_ == nullptr) throw Fault(Code::disposed, "the buffer has been disposed of");
  return allocation_;
}

Napi::Value Buffer::byteLength(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), static_cast<double>(bytes_)); }

Napi::Value Buffer::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

}  // namespace lossc
