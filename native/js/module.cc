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

ModuleHandle* ModuleHandle::from(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&tag)) return nullptr;
  return Unwrap(value.As<Napi::Object>());
}

ModuleHandle::ModuleHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (!info[0].IsExternal()) throw toError(info.Env(), Fault(Code::usage, "a module is made by device.load(binary)"));
  auto& parts = *info[0].As<Napi::External<Parts>>().Data();
  info.This().As<Napi::Object>().TypeTag(&tag);
  owner_ = std::move(parts.owner);
  module_ = std::move(parts.module);
  owner_->resources.insert(this);
}

ModuleHandle::~ModuleHandle() { release(); }

void ModuleHandle::release() {
  if (module_ == nullptr) return;
  owner_->resources.erase(this);
  owner_->worker->discard(std::move(module_));
  module_ = nullptr;
}

const std::shared_ptr<Module>& ModuleHandle::module(const Belongings& owner) const {
  if (owner_.get() != &owner) throw Fault(Code::usage, "the module belongs to another device");
  if (module_ == nullptr) throw Fault(Code::disposed, "the module has been disposed of");
  return module_;
}

Napi::Value ModuleHandle::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

}  // namespace lossc
