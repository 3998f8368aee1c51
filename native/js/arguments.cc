#include "js/arguments.h"

#include <cmath>

namespace lossc {
namespace {

[[noreturn]] void wrong(const char* what, const char* wanted) { throw Fault(Code::usage, std::string(what) + " must be " + wanted); }

void checked(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

}  // namespace

Napi::Object toObject(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) wrong(what, "an object");
  return value.As<Napi::Object>();
}

double toNumber(const Napi::Value& value, const char* what) {
  double number = 0;
  if (napi_get_value_double(value.Env(), value, &number) != napi_ok) wrong(what, "a number");
  return number;
}

std::int64_t toInteger(const Napi::Value& value, const char* what, std::int64_t least, std::int64_t most) {
  const double number = toNumber(value, what);
  if (std::trunc(number) == number && number >= static_cast<double>(least) && number <= static_cast<double>(most))
    return static_cast<std::int64_t>(number);
  throw Fault(Code::range, std::string(what) + " must be a whole number from " + std::to_string(least) + " to " + std::to_string(most) + ", not " +
                               value.ToString().Utf8Value());
}

bool toBoolean(const Napi::Value& value, const char* what) {
  if (!value.IsBoolean()) wrong(what, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::string toString(const Napi::Value& value, const char* what) {
  if (!value.IsString()) wrong(what, "a string");
  return value.As<Napi::String>().Utf8Value();
}

bool isView(const Napi::Value& value) { return value.IsTypedArray() || value.IsDataView(); }

Bytes toBytes(const Napi::Value& value, const char* what) {
  const auto env = value.Env();
  void* data = nullptr;
  std::size_t length = 0;
  if (value.IsTypedArray()) {
    napi_typedarray_type type;
    checked(env, napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr));
    switch (type) {
      case napi_int8_array:
      case napi_uint8_array:
      case napi_uint8_clamped_array:
        break;
      case napi_int16_array:
      case napi_uint16_array:
        length *= 2;
        break;
      case napi_int32_array:
      case napi_uint32_array:
      case napi_float32_array:
        length *= 4;
        break;
      case napi_float64_array:
      case napi_bigint64_array:
      case napi_biguint64_array:
        length *= 8;
        break;
      default:
        wrong(what, "a typed array of a known element type");
    }
  } else if (value.IsDataView()) {
    checked(env, napi_get_dataview_info(env, value, &length, &data, nullptr, nullptr));
  } else {
    wrong(what, "a typed array");
  }
  return {static_cast<unsigned char*>(data), length};
}

}  // namespace lossc
