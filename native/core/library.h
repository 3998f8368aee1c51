// Shared libraries that are opened when first needed, so that the addon loads on a machine that has none of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace lossc {

/// One open shared library. It is never closed, since CUDA's and OpenBLAS's cannot be loaded a second time.
class Library {
 public:
  /// The reason to refuse a library that opened; empty to accept it.
  using Misfit = std::function<std::string(const Library&)>;

  /// Opens the file that the environment variable names, else the first candidate (a soname or a full path) that opens and is accepted.
  static Library open(const char* variable, const std::vector<std::string>& candidates, const Misfit& misfit = {});

  explicit operator bool() const { return handle_ != nullptr; }
  /// The file that was opened.
  const std::string& path() const { return path_; }
  /// The reason why none was accepted.
  const std::string& problem() const { return problem_; }

  void* find(const char* symbol) const;
  /// Sets the function pointer; false where the library has no such symbol.
  template <typename Function>
  bool bind(Function*& function, const char* symbol) const {
    function = reinterpret_cast<Function*>(find(symbol));
    return function != nullptr;
  }

  /// Candidates for the sonames: under $CUDA_HOME and $CUDA_PATH, in the dynamic linker's path, and in the folders where toolkits install themselves.
  static std::vector<std::string> cudaCandidates(const std::vector<std::string>& sonames);

 private:
  void* handle_ = nullptr;
  std::string path_;
  std::string problem_;
};

}  // namespace lossc
