// Turns PTX, the text that NVIDIA's compilers make of CUDA C++, into C++ for the emulator's lanes, instruction by instruction (ptx_lane.h).
#pragma once

#include <stdexcept>
#include <string>

namespace fake {

class NotUnderstood : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// C++ with an entry for each kernel, `NAME`, and what its directives ask for beside it: `NAME_cluster`, `NAME_threads`. Directives that are not
/// known are NotUnderstood; instructions that are not known are left for the C++ compiler to refuse.
std::string fromPtx(const std::string& ptx);

}  // namespace fake
