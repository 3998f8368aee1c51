// Checked conversions of JavaScript values. A value of the wrong kind is USAGE with the expected kind.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

#include "core/fault.h"

namespace lossc {

constexpr std::int64_t maxSafeInteger = 9007199254740991;

/// The bytes of a typed array or DataView. `data` may be null where there are none.
struct Bytes {
  unsigned char* data;
  std::size_t size;
};

Napi::Object toObject(const Napi::Value& value, const char* what);
std::int64_t toInteger(const Napi::Value& value, const char* what, std::int64_t least, std::int64_t most);
double toNumber(const Napi::Value& value, const char* what);
bool toBoolean(const Napi::Value& value, const char* what);
std::string toString(const Napi::Value& value, const char* what);
bool isView(const Napi::Value& value);
Bytes toBytes(const Napi::Value& value, const char* what);

}  // namespace lossc
