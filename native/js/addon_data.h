// What the addon keeps per environment: an addon is loaded once a process but set up once a worker thread.
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
  /// Threads that compile, made when they are first needed.
  std::vector<std::unique_ptr<Worker>> compilers;

  static AddonData& of(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }
};

}  // namespace lossc
