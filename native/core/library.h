// Shared libraries that are opened when first needed, so that the addon loads on a machine that has none of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace lossc {

/// One open shared library. Never closed: CUDA's and OpenBLAS's do not survive it.
class Library {
 public:
  /// Why a library that opened is not to be taken; empty where it is.
  using Misfit = std::function<std::string(const Library&)>;

  /// Opens the file that the environment variable names, or else the first of the candidates (sonames, or full paths) that opens and fits.
  static Library open(const char* variable, const std::vector<std::string>& candidates, const Misfit& misfit = {});

  explicit operator bool() const { return handle_ != nullptr; }
  /// Where it was found.
  const std::string& path() const { return path_; }
  /// Why nothing was taken.
  const std::string& problem() const { return problem_; }

  void* find(const char* symbol) const;
  /// Sets the function pointer; false where the library has no such symbol.
  template <typename Function>
  bool bind(Function*& function, const char* symbol) const {
    function = reinterpret_cast<Function*>(find(symbol));
    return function != nullptr;
  }

  /// The same sonames under $CUDA_HOME and $CUDA_PATH, for who names a place wants it taken, then in the dynamic linker's own path, then where CUDA installs itself.
  static std::vector<std::string> cudaCandidates(const std::vector<std::string>& sonames);

 private:
  void* handle_ = nullptr;
  std::string path_;
  std::string problem_;
};

}  // namespace lossc
