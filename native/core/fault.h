// What goes wrong below the JavaScript boundary: an exception that carries one of lossc's error codes.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace lossc {

enum class Code {
  usage,
  range,  // USAGE too, but a RangeError rather than a TypeError
  compilerNotFound,
  compileFailed,
  deviceNotFound,
  deviceOutOfMemory,
  deviceFault,
  disposed,
  aborted,
};

class Fault : public std::runtime_error {
 public:
  Fault(Code code, const std::string& message, std::string log = {}) : std::runtime_error(message), code(code), log(std::move(log)) {}

  const Code code;
  /// What a compiler printed.
  const std::string log;
};

}  // namespace lossc
