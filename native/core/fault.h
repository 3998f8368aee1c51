// The exception of everything below the JavaScript boundary. It carries one of lossc's error codes.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "core/constants.h"

namespace lossc {

class Fault : public std::runtime_error {
 public:
  Fault(Code code, const std::string& message, std::string log = {}) : std::runtime_error(message), code(code), log(std::move(log)) {}

  const Code code;
  /// The output of a compiler.
  const std::string log;
};

}  // namespace lossc
