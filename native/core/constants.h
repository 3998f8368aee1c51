// Generated from runtime/addon/constants.ts by `npm run docs`; do not edit.
#pragma once

#include <cstddef>

namespace lossc {

/// Device memory starts at a multiple of so many bytes.
constexpr std::size_t memoryAlignment = 256;

/// Bytes of a field of a kernel's argument struct.
constexpr std::size_t fieldBytes = 8;

/// Codes of the addon's errors.
enum class Code {
  usage,
  range,
  compilerNotFound,
  compileFailed,
  deviceNotFound,
  deviceOutOfMemory,
  deviceFault,
  disposed,
  aborted,
};

/// The code of LosscError for each Code.
constexpr const char* codeNames[] = {
    "USAGE",
    "USAGE",
    "COMPILER_NOT_FOUND",
    "COMPILE_FAILED",
    "DEVICE_NOT_FOUND",
    "DEVICE_OUT_OF_MEMORY",
    "DEVICE_FAULT",
    "DISPOSED",
    "ABORTED",
};

}  // namespace lossc
