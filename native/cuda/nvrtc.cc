#include "cuda/nvrtc.h"

#include <dlfcn.h>

#include <cstdlib>

#include "core/fault.h"
#include "cuda/driver.h"

namespace lossc::cuda {

/// Destroys the program on every way out.
class Nvrtc::Program {
 public:
  Program(Nvrtc& nvrtc, const std::string& source) : nvrtc_(nvrtc) {
    check(nvrtc_.create_(&program_, source.c_str(), "lossc.cu", 0, nullptr, nullptr), "starting");
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() { nvrtc_.destroy_(&program_); }

  RtcResult compile(const std::vector<std::string>& options) {
    std::vector<const char*> pointers;
    for (const auto& option : options) pointers.push_back(option.c_str());
    return nvrtc_.compile_(program_, static_cast<int>(pointers.size()), pointers.data());
  }

  std::string log() {
    std::size_t bytes = 0;
    if (nvrtc_.logSize_(program_, &bytes) != rtcSuccess || bytes <= 1) return "";
    std::string text(bytes, '\0');
    if (nvrtc_.log_(program_, text.data()) != rtcSuccess) return "";
    text.resize(bytes - 1);
    return text;
  }

  std::vector<unsigned char> cubin() {
    std::size_t bytes = 0;
    check(nvrtc_.cubinSize_(program_, &bytes), "fetching the cubin");
    std::vector<unsigned char> binary(bytes);
    if (bytes > 0) check(nvrtc_.cubin_(program_, reinterpret_cast<char*>(binary.data())), "fetching the cubin");
    return binary;
  }

 private:
  void check(RtcResult result, const char* step) {
    if (result != rtcSuccess) throw Fault(Code::compileFailed, std::string("NVRTC failed at ") + step + ": " + nvrtc_.errorString_(result));
  }

  Nvrtc& nvrtc_;
  RtcProgram program_ = nullptr;
};

Nvrtc& Nvrtc::instance() {
  static Nvrtc nvrtc;
  return nvrtc;
}

static std::string versionOf(RtcResult (*ask)(int* major, int* minor)) {
  int major = 0, minor = 0;
  if (ask == nullptr || ask(&major, &minor) != rtcSuccess) return "";
  return std::to_string(major) + "." + std::to_string(minor);
}

/// NVRTC opens its built-ins by their bare name. The loader does not find them where NVRTC lies in a folder outside of its path (a pip wheel, a
/// toolkit under $CUDA_HOME). A library that is already loaded is found by its name, so the built-ins are loaded from NVRTC's folder and stay loaded.
static void loadBuiltins(const std::string& nvrtc, const std::string& version) {
  const auto slash = nvrtc.rfind('/');
  if (slash != std::string::npos && !version.empty())
    dlopen((nvrtc.substr(0, slash + 1) + "libnvrtc-builtins.so." + version).c_str(), RTLD_NOW | RTLD_LOCAL);
}

/// The reason why a library cannot be used. The functions of one that can are bound.
std::string Nvrtc::misfit(const Library& library) {
  bool whole = true;
  const auto bind = [&](auto& function, const char* symbol) { whole = library.bind(function, symbol) && whole; };
  bind(version_, "nvrtcVersion");
  bind(architectureCount_, "nvrtcGetNumSupportedArchs");
  bind(architectures_, "nvrtcGetSupportedArchs");
  bind(create_, "nvrtcCreateProgram");
  bind(destroy_, "nvrtcDestroyProgram");
  bind(compile_, "nvrtcCompileProgram");
  bind(logSize_, "nvrtcGetProgramLogSize");
  bind(log_, "nvrtcGetProgramLog");
  bind(cubinSize_, "nvrtcGetCUBINSize");
  bind(cubin_, "nvrtcGetCUBIN");
  bind(errorString_, "nvrtcGetErrorString");
  const auto version = versionOf(version_);
  // Barriers of clusters need CUDA 12.0.
  if (!whole || std::atoi(version.c_str()) < 12)
    return library.path() + " is too old an NVRTC" + (version.empty() ? "" : " (" + version + ")") + ": 12.0 or newer is needed";
  return Driver::misfit(library, "NVRTC", version);
}

const Library& Nvrtc::library() {
  const std::lock_guard lock(mutex_);
  if (!library_) {
    library_ = Library::open("LOSSC_LIBNVRTC", Library::cudaCandidates({"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"}),
                             [this](const Library& found) { return misfit(found); });
    if (library_) loadBuiltins(library_.path(), versionOf(version_));
  }
  return library_;
}

std::string Nvrtc::version() { return library() ? versionOf(version_) : ""; }

std::vector<std::string> Nvrtc::architectures() {
  int count = 0;
  if (!library() || architectureCount_(&count) != rtcSuccess || count <= 0) return {};
  std::vector<int> numbers(static_cast<std::size_t>(count));
  if (architectures_(numbers.data()) != rtcSuccess) return {};
  std::vector<std::string> names;
  for (const int number : numbers) names.push_back("sm_" + std::to_string(number));
  return names;
}

void Nvrtc::require() {
  const auto& found = library();
  if (found) return;
  const std::string package = Driver::major() == 12 ? "cuda-nvrtc-12-9" : "cuda-nvrtc-13-0";
  throw Fault(Code::compilerNotFound, "there is no NVRTC that can be used: " + found.problem() +
                                          ". It comes with the CUDA toolkit (apt-get install " + package +
                                          " from NVIDIA's repository); LOSSC_LIBNVRTC names its file");
}

Compiled Nvrtc::compile(const std::string& source, const std::vector<std::string>& options) {
  require();
  Program program(*this, source);
  const auto result = program.compile(options);
  auto log = program.log();
  if (result != rtcSuccess) throw Fault(Code::compileFailed, std::string("NVRTC failed: ") + errorString_(result), std::move(log));
  auto binary = program.cubin();
  if (binary.empty())
    throw Fault(Code::compileFailed, "NVRTC made no cubin: the options must name a real architecture, say --gpu-architecture=sm_90", std::move(log));
  return {std::move(binary), std::move(log)};
}

}  // namespace lossc::cuda
