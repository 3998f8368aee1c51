// CUDA text to cubin, by NVRTC where it is installed.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "core/library.h"
#include "cuda/api.h"

namespace lossc::cuda {

struct Compiled {
  std::vector<unsigned char> binary;
  std::string log;
};

class Nvrtc {
 public:
  static Nvrtc& instance();

  /// COMPILER_NOT_FOUND without the library; COMPILE_FAILED with the log. Slow; may be called on any thread.
  Compiled compile(const std::string& source, const std::vector<std::string>& options);

  const Library& library();
  /// "13.0", empty where there is none.
  std::string version();
  /// GPUs that it compiles for: "sm_75", "sm_80" and so on.
  std::vector<std::string> architectures();

 private:
  class Program;

  void require();
  std::string misfit(const Library& library);

  std::mutex mutex_;
  Library library_;
  RtcResult (*version_)(int* major, int* minor) = nullptr;
  RtcResult (*architectureCount_)(int* count) = nullptr;
  RtcResult (*architectures_)(int* architectures) = nullptr;
  RtcResult (*create_)(RtcProgram* program, const char* source, const char* name, int headers, const char* const* contents,
                       const char* const* names) = nullptr;
  RtcResult (*destroy_)(RtcProgram* program) = nullptr;
  RtcResult (*compile_)(RtcProgram program, int count, const char* const* options) = nullptr;
  RtcResult (*logSize_)(RtcProgram program, std::size_t* bytes) = nullptr;
  RtcResult (*log_)(RtcProgram program, char* text) = nullptr;
  RtcResult (*cubinSize_)(RtcProgram program, std::size_t* bytes) = nullptr;
  RtcResult (*cubin_)(RtcProgram program, char* bytes) = nullptr;
  const char* (*errorString_)(RtcResult result) = nullptr;
};

}  // namespace lossc::cuda
