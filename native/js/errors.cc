#include "js/errors.h"

namespace lossc {
namespace {

Napi::Error plain(Napi::Env env, const Fault& fault) {
  if (fault.code == Code::usage) return Napi::TypeError::New(env, fault.what());
  if (fault.code == Code::range) return Napi::RangeError::New(env, fault.what());
  return Napi::Error::New(env, fault.what());
}

}  // namespace

Napi::Error toError(Napi::Env env, const Fault& fault) {
  auto error = plain(env, fault);
  error.Set("code", Napi::String::New(env, codeNames[static_cast<std::size_t>(fault.code)]));
  if (fault.code == Code::compileFailed) error.Set("log", Napi::String::New(env, fault.log));
  return error;
}

}  // namespace lossc
