#include "js/module.h"

#include "js/addon_data.h"
#include "js/errors.h"

namespace lossc {
namespace {

const napi_type_tag tag{0x6c6f737363204d6f, 0x64756c65206f6e65};

struct Parts {
  std::shared_ptr<Belongings> owner;
  std::shared_ptr<Module> module;
};

}  // namespace

Napi::Function ModuleHandle::define(Napi::Env env) {
  return DefineClass(env, "NativeModule", {InstanceMethod<&ModuleHandle::dispose>("dispose")});
}

Napi::Object ModuleHandle::make(Napi::Env env, const std::shared_ptr<Belongings>& owner, std::shared_ptr<Module> module) {
  Parts parts{owner, std::move(module)};
  return AddonData::of(env).module.New({Napi::External<Parts>::New(env, &parts)});
}

ModuleHandle::ModuleHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (!info[0].IsExternal()) throw toError(info.Env(), Fault(Code::usage, "a module is made by device.load(binary)"));
  auto& parts = *info[0].As<Napi::External<Parts>>().Data();
  info.This().As<Napi::Object>().TypeTag(&tag);
  owner_ = std::move(parts.owner);
  module_ = std::move(parts.module);
  owner_->resources.emplace(static_cast<ModuleHandle*>(this), this);
}

ModuleHandle::~ModuleHandle() { release(); }

void ModuleHandle::release() {
  if (module_ == nullptr) return;
  owner_->resources.erase(static_cast<ModuleHandle*>(this));
  owner_->worker->discard(std::move(module_));
  module_ = nullptr;
}

const std::shared_ptr<Module>& ModuleHandle::of(const Napi::Value& value, const Belongings& owner, const char* what) {
  const auto known = owner.resources.find(wrapped(value));
  if (known != owner.resources.end())
    if (auto* handle = dynamic_cast<ModuleHandle*>(known->second)) return handle->module_;
  // Something is wrong: the tag tells what.
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&tag)) throw Fault(Code::usage, std::string(what) + " must be a module of the device");
  if (Unwrap(value.As<Napi::Object>())->module_ == nullptr) throw Fault(Code::disposed, std::string(what) + " has been disposed of");
  throw Fault(Code::usage, std::string(what) + " belongs to another device");
}

Napi::Value ModuleHandle::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

}  // namespace lossc
