#include "cuda/driver.h"

#include <cstdlib>
#include <memory>
#include <mutex>

namespace lossc::cuda {
namespace {

constexpr const char* wayOut = "; a GPU needs NVIDIA's driver, which brings libcuda.so.1 (in a container: --gpus all); the device \"cpu\" needs none";

struct Search {
  std::mutex mutex;
  Library library;
  std::unique_ptr<Driver> driver;
};

Search& search() {
  static Search search;
  return search;
}

/// With the lock held. A failed search is repeated: the process may have changed its environment.
const Library& found(Search& search) {
  if (!search.library) search.library = Library::open("LOSSC_LIBCUDA", {"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"});
  return search.library;
}

}  // namespace

const Library& Driver::library() {
  auto& it = search();
  const std::lock_guard lock(it.mutex);
  return found(it);
}

/// 13000 for CUDA 13.0; 0 where it is unknown. A driver that does not start, or lacks functions that lossc calls, still has a version.
static int versionNumber() {
  decltype(Driver::driverGetVersion) driverGetVersion = nullptr;
  int version = 0;
  return Driver::library().bind(driverGetVersion, "cuDriverGetVersion") && driverGetVersion(&version) == success ? version : 0;
}

std::string Driver::version() {
  const int version = versionNumber();
  return version == 0 ? "" : std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int Driver::major() { return versionNumber() / 1000; }

std::string Driver::misfit(const Library& library, const std::string& name, const std::string& version) {
  const int most = major();
  // An unknown version is 0.
  if (most == 0 || std::atoi(version.c_str()) <= most) return "";
  return library.path() + " is " + name + " " + version + ", too new for the driver, which is of CUDA " + Driver::version();
}

const Driver& Driver::instance() {
  auto& it = search();
  const std::lock_guard lock(it.mutex);
  if (it.driver == nullptr) {
    const auto& library = found(it);
    if (!library) throw Fault(Code::deviceNotFound, "there is no CUDA driver: " + library.problem() + wayOut);
    it.driver.reset(new Driver(library));
  }
  // Tried every time, since a driver that failed to start may have been repaired.
  if (const auto result = it.driver->init(0); result != success) {
    const auto fault = it.driver->fault(result, "cuInit");
    throw Fault(Code::deviceNotFound, std::string("the CUDA driver does not start: ") + fault.what() + wayOut);
  }
  return *it.driver;
}

Driver::Driver(const Library& library) {
  std::string missing;
  const auto bind = [&](auto& function, const char* symbol) {
    if (!library.bind(function, symbol)) missing += std::string(missing.empty() ? "" : ", ") + symbol;
  };
  bind(init, "cuInit");
  bind(driverGetVersion, "cuDriverGetVersion");
  bind(deviceGetCount, "cuDeviceGetCount");
  bind(deviceGet, "cuDeviceGet");
  bind(deviceGetName, "cuDeviceGetName");
  bind(deviceGetAttribute, "cuDeviceGetAttribute");
  bind(deviceTotalMem, "cuDeviceTotalMem_v2");
  bind(primaryCtxRetain, "cuDevicePrimaryCtxRetain");
  bind(primaryCtxRelease, "cuDevicePrimaryCtxRelease_v2");
  bind(primaryCtxReset, "cuDevicePrimaryCtxReset_v2");
  bind(ctxPushCurrent, "cuCtxPushCurrent_v2");
  bind(ctxPopCurrent, "cuCtxPopCurrent_v2");
  bind(streamCreate, "cuStreamCreate");
  bind(streamDestroy, "cuStreamDestroy_v2");
  bind(streamSynchronize, "cuStreamSynchronize");
  bind(memAlloc, "cuMemAlloc_v2");
  bind(memFree, "cuMemFree_v2");
  bind(memcpyHtoDAsync, "cuMemcpyHtoDAsync_v2");
  bind(memcpyDtoHAsync, "cuMemcpyDtoHAsync_v2");
  bind(memcpyDtoDAsync, "cuMemcpyDtoDAsync_v2");
  bind(memsetD8Async, "cuMemsetD8Async");
  bind(moduleLoadData, "cuModuleLoadData");
  bind(moduleUnload, "cuModuleUnload");
  bind(moduleGetFunction, "cuModuleGetFunction");
  bind(funcSetAttribute, "cuFuncSetAttribute");
  bind(launchKernel, "cuLaunchKernel");
  bind(getErrorName, "cuGetErrorName");
  bind(getErrorString, "cuGetErrorString");
  library.bind(streamBeginCapture, "cuStreamBeginCapture_v2");
  library.bind(streamEndCapture, "cuStreamEndCapture");
  library.bind(graphInstantiate, "cuGraphInstantiateWithFlags");
  library.bind(graphDestroy, "cuGraphDestroy");
  library.bind(graphLaunch, "cuGraphLaunch");
  library.bind(graphExecDestroy, "cuGraphExecDestroy");
  if (!missing.empty()) throw Fault(Code::deviceNotFound, library.path() + " is too old a CUDA driver: it has no " + missing);
}

Fault Driver::fault(Result result, const std::string& operation) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (getErrorName(result, &name) != success || name == nullptr) name = "an error that the driver has no name for";
  if (getErrorString(result, &text) != success || text == nullptr) text = "no description";
  const auto message = operation + " failed: " + name + " (" + std::to_string(result) + ", " + text + ")";
  switch (result) {
    case outOfMemory:
      return {Code::deviceOutOfMemory, message};
    case stubLibrary:
    case deviceUnavailable:
    case noDevice:
    case invalidDevice:
    case systemDriverMismatch:
    case compatNotSupported:
      return {Code::deviceNotFound, message};
    default:
      return {Code::deviceFault, message};
  }
}

void Driver::check(Result result, const std::string& operation) const {
  if (result != success) throw fault(result, operation);
}

bool Driver::sticky(Result result) {
  switch (result) {
    case deinitialized:
    case eccUncorrectable:
    case nvlinkUncorrectable:
    case contained:
    case illegalAddress:
    case launchTimeout:
    case contextIsDestroyed:
    case assertion:
    case hardwareStackError:
    case illegalInstruction:
    case misalignedAddress:
    case invalidAddressSpace:
    case invalidPc:
    case launchFailed:
    case tensorMemoryLeak:
    case mpsClientTerminated:
    case unknownError:
      return true;
    default:
      return false;
  }
}

bool Driver::hasGraphs() const {
  return streamBeginCapture != nullptr && streamEndCapture != nullptr && graphInstantiate != nullptr && graphDestroy != nullptr &&
         graphLaunch != nullptr &&
         graphExecDestroy != nullptr;
}

Current::Current(const Driver& driver, Context context, const std::string& operation) : driver_(driver) {
  driver_.check(driver_.ctxPushCurrent(context), operation);
}

Current::~Current() {
  Context context = nullptr;
  driver_.ctxPopCurrent(&context);
}

}  // namespace lossc::cuda
