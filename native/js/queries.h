// Functions of the addon that need no device: GPUs, libraries, and the compiler for CUDA text.
#pragma once

#include <napi.h>

namespace lossc {

Napi::Value listCuda(const Napi::CallbackInfo& info);
Napi::Value libraries(const Napi::CallbackInfo& info);
Napi::Value compileCuda(const Napi::CallbackInfo& info);

}  // namespace lossc
