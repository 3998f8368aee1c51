// State of the addon per environment. An addon is loaded once per process but initialised once per worker thread.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "js/worker.h"

namespace lossc {

struct AddonData {
  Napi::FunctionReference device;
  Napi::FunctionReference buffer;
  Napi::FunctionReference module;
  /// Threads that compile, started on first use.
  std::vector<std::unique_ptr<Worker>> compilers;

  static AddonData& of(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }
};

}  // namespace lossc
