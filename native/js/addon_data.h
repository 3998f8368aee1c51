// What the addon keeps per environment: an addon is loaded once a process but set up once a worker thread.
#pragma once

#include <napi.h>

namespace lossc {

struct AddonData {
  Napi::FunctionReference device;
  Napi::FunctionReference buffer;
  Napi::FunctionReference module;

  static AddonData& of(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }
};

}  // namespace lossc
