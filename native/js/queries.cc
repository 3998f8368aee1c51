#include "js/queries.h"

#include <algorithm>
#include <memory>

#include "core/host.h"
#include "cpu/openblas.h"
#include "cuda/blas.h"
#include "cuda/driver.h"
#include "cuda/gpu.h"
#include "cuda/nvrtc.h"
#include "js/addon_data.h"
#include "js/arguments.h"
#include "js/errors.h"

namespace lossc {
namespace {

/// The version and the problem may be empty.
Napi::Object report(Napi::Env env, const Library& library, const std::string& version, const std::string& problem) {
  auto result = Napi::Object::New(env);
  const auto trouble = library ? problem : library.problem();
  if (library) result.Set("path", library.path());
  if (!version.empty()) result.Set("version", version);
  if (!trouble.empty()) result.Set("problem", trouble);
  return result;
}

Napi::Object reportDriver(Napi::Env env) {
  const auto& library = cuda::Driver::library();
  if (!library) return report(env, library, "", "");
  const auto version = cuda::Driver::version();
  try {
    cuda::Driver::instance();
    return report(env, library, version, "");
  } catch (const Fault& fault) {
    return report(env, library, version, fault.what());
  }
}

Napi::Object reportNvrtc(Napi::Env env) {
  auto& nvrtc = cuda::Nvrtc::instance();
  auto result = report(env, nvrtc.library(), nvrtc.version(), "");
  if (!nvrtc.library()) return result;
  const auto names = nvrtc.architectures();
  auto architectures = Napi::Array::New(env, names.size());
  for (std::uint32_t i = 0; i < names.size(); ++i) architectures.Set(i, names[i]);
  result.Set("architectures", architectures);
  return result;
}

class Compilation : public Task {
 public:
  Compilation(Napi::Env env, std::string source, std::vector<std::string> options)
      : Task(env), source_(std::move(source)), options_(std::move(options)) {}

 protected:
  void execute(const std::atomic<bool>&) override {
    try {
      compiled_ = cuda::Nvrtc::instance().compile(source_, options_);
    } catch (const Fault&) {
      throw;
    } catch (const std::exception& error) {
      throw Fault(Code::compileFailed, error.what());
    }
  }

  Napi::Value result(Napi::Env env) override {
    auto result = Napi::Object::New(env);
    result.Set("binary", Napi::Buffer<unsigned char>::Copy(env, compiled_.binary.data(), compiled_.binary.size()));
    result.Set("log", compiled_.log);
    return result;
  }

 private:
  const std::string source_;
  const std::vector<std::string> options_;
  cuda::Compiled compiled_;
};

/// An idle compiler thread, or the one with the fewest tasks. libuv's threads are not used: a compilation would block file and DNS requests for
/// seconds.
Worker& leastBusyCompiler(Napi::Env env) {
  auto& compilers = AddonData::of(env).compilers;
  const auto least = std::min_element(compilers.begin(), compilers.end(), [](const auto& a, const auto& b) { return a->pending() < b->pending(); });
  if (least != compilers.end() && ((*least)->pending() == 0 || compilers.size() >= static_cast<std::size_t>(host::cores()))) return **least;
  compilers.push_back(std::make_unique<Worker>(env));
  return *compilers.back();
}

}  // namespace

Napi::Value listCuda(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  return throwing(env, [&]() -> Napi::Value {
    const auto gpus = cuda::listGpus();
    auto result = Napi::Array::New(env, gpus.size());
    for (std::uint32_t i = 0; i < gpus.size(); ++i) {
      auto gpu = Napi::Object::New(env);
      gpu.Set("ordinal", gpus[i].ordinal);
      gpu.Set("name", gpus[i].name);
      gpu.Set("architecture", gpus[i].architecture);
      gpu.Set("memoryBytes", static_cast<double>(gpus[i].memoryBytes));
      result.Set(i, gpu);
    }
    return result;
  });
}

Napi::Value libraries(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  auto result = Napi::Object::New(env);
  result.Set("cuda", reportDriver(env));
  result.Set("nvrtc", reportNvrtc(env));
  result.Set("cublas", report(env, cuda::BlasLibrary::instance().library(), cuda::BlasLibrary::instance().version(), ""));
  result.Set("openblas", report(env, OpenBlas::instance().library(), OpenBlas::instance().version(), ""));
  return result;
}

Napi::Value compileCuda(const Napi::CallbackInfo& info) {
  return rejecting(info.Env(), [&]() -> Napi::Value {
    auto source = toString(info[0], "source");
    if (!info[1].IsArray()) throw Fault(Code::usage, "options must be an array of strings");
    const auto array = info[1].As<Napi::Array>();
    std::vector<std::string> options;
    for (std::uint32_t i = 0; i < array.Length(); ++i) options.push_back(toString(array.Get(i), "an option"));
    return leastBusyCompiler(info.Env()).submit(std::make_unique<Compilation>(info.Env(), std::move(source), std::move(options)));
  });
}

}  // namespace lossc
