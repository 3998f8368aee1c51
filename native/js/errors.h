// Faults as JavaScript errors: `code` is a code of LosscError, `log` the output of a compiler.
#pragma once

#include <napi.h>

#include "core/fault.h"

namespace lossc {

Napi::Error toError(Napi::Env env, const Fault& fault);

/// Runs the body and rethrows its C++ exceptions as JavaScript errors. A C++ exception that crosses the boundary would end the process.
template <typename Body>
auto throwing(Napi::Env env, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Fault& fault) {
    throw toError(env, fault);
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw toError(env, Fault(Code::deviceOutOfMemory, "out of host memory"));
  } catch (const std::exception& error) {
    throw toError(env, Fault(Code::deviceFault, error.what()));
  }
}

/// Runs a body that returns a promise. An exception of the body becomes a rejection.
template <typename Body>
Napi::Value rejecting(Napi::Env env, Body&& body) {
  try {
    return throwing(env, body);
  } catch (const Napi::Error& error) {
    const auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Reject(error.Value());
    return deferred.Promise();
  }
}

}  // namespace lossc
