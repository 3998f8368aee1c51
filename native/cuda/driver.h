// libcuda, opened when first needed.
#pragma once

#include <string>

#include "core/fault.h"
#include "core/library.h"
#include "cuda/api.h"

namespace lossc::cuda {

class Driver {
 public:
  /// The driver, initialised. DEVICE_NOT_FOUND, with the missing part, where there is none.
  static const Driver& instance();
  /// Result of the search, for `libraries`; never throws.
  static const Library& library();
  /// "13.0"; empty where there is no driver. Does not initialise the driver.
  static std::string version();
  /// The major version, 13; 0 where there is no driver.
  static int major();
  /// The reason why a CUDA library does not work with this driver: its major version is newer. Empty where it works, and where there is no driver.
  static std::string misfit(const Library& library, const std::string& name, const std::string& version);

  /// Throws unless the result is a success. The message has the operation and the driver's name of the error.
  void check(Result result, const std::string& operation) const;
  Fault fault(Result result, const std::string& operation) const;
  /// Whether the error means that the context is lost: all later calls on it fail the same way.
  static bool sticky(Result result);
  /// Whether the driver has all functions that graphs need.
  bool hasGraphs() const;

  Result (*init)(unsigned flags) = nullptr;
  Result (*driverGetVersion)(int* version) = nullptr;
  Result (*deviceGetCount)(int* count) = nullptr;
  Result (*deviceGet)(DeviceOrdinal* device, int ordinal) = nullptr;
  Result (*deviceGetName)(char* name, int length, DeviceOrdinal device) = nullptr;
  Result (*deviceGetAttribute)(int* value, Attribute attribute, DeviceOrdinal device) = nullptr;
  Result (*deviceTotalMem)(std::size_t* bytes, DeviceOrdinal device) = nullptr;
  Result (*primaryCtxRetain)(Context* context, DeviceOrdinal device) = nullptr;
  Result (*primaryCtxRelease)(DeviceOrdinal device) = nullptr;
  Result (*primaryCtxReset)(DeviceOrdinal device) = nullptr;
  Result (*ctxPushCurrent)(Context context) = nullptr;
  Result (*ctxPopCurrent)(Context* context) = nullptr;
  Result (*streamCreate)(Stream* stream, unsigned flags) = nullptr;
  Result (*streamDestroy)(Stream stream) = nullptr;
  Result (*streamSynchronize)(Stream stream) = nullptr;
  Result (*memAlloc)(DevicePointer* pointer, std::size_t bytes) = nullptr;
  Result (*memFree)(DevicePointer pointer) = nullptr;
  Result (*memcpyHtoDAsync)(DevicePointer to, const void* from, std::size_t bytes, Stream stream) = nullptr;
  Result (*memcpyDtoHAsync)(void* to, DevicePointer from, std::size_t bytes, Stream stream) = nullptr;
  Result (*memcpyDtoDAsync)(DevicePointer to, DevicePointer from, std::size_t bytes, Stream stream) = nullptr;
  Result (*memsetD8Async)(DevicePointer to, unsigned char value, std::size_t bytes, Stream stream) = nullptr;
  Result (*moduleLoadData)(ModuleHandle* module, const void* image) = nullptr;
  Result (*moduleUnload)(ModuleHandle module) = nullptr;
  Result (*moduleGetFunction)(Function* function, ModuleHandle module, const char* name) = nullptr;
  Result (*funcSetAttribute)(Function function, FunctionAttribute attribute, int value) = nullptr;
  Result (*launchKernel)(Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ,
                         unsigned sharedBytes, Stream stream, void** parameters, void** extra) = nullptr;
  // Graphs. Null in drivers that are too old.
  Result (*streamBeginCapture)(Stream stream, CaptureMode mode) = nullptr;
  Result (*streamEndCapture)(Stream stream, Graph* graph) = nullptr;
  Result (*graphInstantiate)(GraphExec* exec, Graph graph, unsigned long long flags) = nullptr;
  Result (*graphDestroy)(Graph graph) = nullptr;
  Result (*graphLaunch)(GraphExec exec, Stream stream) = nullptr;
  Result (*graphExecDestroy)(GraphExec exec) = nullptr;
  Result (*getErrorName)(Result result, const char** name) = nullptr;
  Result (*getErrorString)(Result result, const char** text) = nullptr;

 private:
  explicit Driver(const Library& library);
};

/// Makes the context current on this thread for the lifetime of this object.
class Current {
 public:
  Current(const Driver& driver, Context context, const std::string& operation);
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  ~Current();

 private:
  const Driver& driver_;
};

}  // namespace lossc::cuda
