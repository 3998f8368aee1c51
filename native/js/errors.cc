#include "js/errors.h"

namespace lossc {
namespace {

const char* name(Code code) {
  switch (code) {
    case Code::usage:
    case Code::range:
      return "USAGE";
    case Code::compilerNotFound:
      return "COMPILER_NOT_FOUND";
    case Code::compileFailed:
      return "COMPILE_FAILED";
    case Code::deviceNotFound:
      return "DEVICE_NOT_FOUND";
    case Code::deviceOutOfMemory:
      return "DEVICE_OUT_OF_MEMORY";
    case Code::deviceFault:
      return "DEVICE_FAULT";
    case Code::disposed:
      return "DISPOSED";
    case Code::aborted:
      return "ABORTED";
  }
  return "DEVICE_FAULT";
}

Napi::Error plain(Napi::Env env, const Fault& fault) {
  if (fault.code == Code::usage) return Napi::TypeError::New(env, fault.what());
  if (fault.code == Code::range) return Napi::RangeError::New(env, fault.what());
  return Napi::Error::New(env, fault.what());
}

}  // namespace

Napi::Error toError(Napi::Env env, const Fault& fault) {
  auto error = plain(env, fault);
  error.Set("code", Napi::String::New(env, name(fault.code)));
  if (fault.code == Code::compileFailed) error.Set("log", Napi::String::New(env, fault.log));
  return error;
}

}  // namespace lossc
