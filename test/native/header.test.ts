import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { scratchFile } from "./support.js";

const folders = [process.env.CUDA_HOME, process.env.CUDA_PATH, "/usr/local/cuda"].flatMap((home) =>
  home ? [join(home, "include")] : [],
);
const include = folders.find((folder) => existsSync(join(folder, "cuda.h")));

/** Names of constants in native/cuda/api.h, with NVIDIA's names. */
const numbers: Readonly<Record<string, string>> = {
  success: "CUDA_SUCCESS",
  maxDynamicSharedBytes: "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES",
  invalidValue: "CUDA_ERROR_INVALID_VALUE",
  outOfMemory: "CUDA_ERROR_OUT_OF_MEMORY",
  deinitialized: "CUDA_ERROR_DEINITIALIZED",
  stubLibrary: "CUDA_ERROR_STUB_LIBRARY",
  deviceUnavailable: "CUDA_ERROR_DEVICE_UNAVAILABLE",
  noDevice: "CUDA_ERROR_NO_DEVICE",
  invalidDevice: "CUDA_ERROR_INVALID_DEVICE",
  eccUncorrectable: "CUDA_ERROR_ECC_UNCORRECTABLE",
  nvlinkUncorrectable: "CUDA_ERROR_NVLINK_UNCORRECTABLE",
  notFound: "CUDA_ERROR_NOT_FOUND",
  illegalAddress: "CUDA_ERROR_ILLEGAL_ADDRESS",
  launchTimeout: "CUDA_ERROR_LAUNCH_TIMEOUT",
  contextIsDestroyed: "CUDA_ERROR_CONTEXT_IS_DESTROYED",
  assertion: "CUDA_ERROR_ASSERT",
  hardwareStackError: "CUDA_ERROR_HARDWARE_STACK_ERROR",
  illegalInstruction: "CUDA_ERROR_ILLEGAL_INSTRUCTION",
  misalignedAddress: "CUDA_ERROR_MISALIGNED_ADDRESS",
  invalidAddressSpace: "CUDA_ERROR_INVALID_ADDRESS_SPACE",
  invalidPc: "CUDA_ERROR_INVALID_PC",
  launchFailed: "CUDA_ERROR_LAUNCH_FAILED",
  systemDriverMismatch: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
  compatNotSupported: "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
  mpsClientTerminated: "CUDA_ERROR_MPS_CLIENT_TERMINATED",
  unknownError: "CUDA_ERROR_UNKNOWN",
  multiprocessorCount: "CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT",
  computeCapabilityMajor: "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR",
  computeCapabilityMinor: "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR",
  preferredSharedCarveout: "CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT",
  streamNonBlocking: "CU_STREAM_NON_BLOCKING",
  blasFloat32: "CUDA_R_32F",
  blasFloat16: "CUDA_R_16F",
  blasBfloat16: "CUDA_R_16BF",
  captureThreadLocal: "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL",
};

/** Those that headers of CUDA 12 may not have yet. */
const newer: typeof numbers = {
  contained: "CUDA_ERROR_CONTAINED",
  tensorMemoryLeak: "CUDA_ERROR_TENSOR_MEMORY_LEAK",
};

/** Members of the Driver class, and the functions that they are bound to. cuda.h maps the plain names to the versions that lossc binds. */
const functions: Readonly<Record<string, string>> = {
  init: "cuInit",
  driverGetVersion: "cuDriverGetVersion",
  deviceGetCount: "cuDeviceGetCount",
  deviceGet: "cuDeviceGet",
  deviceGetName: "cuDeviceGetName",
  deviceGetAttribute: "cuDeviceGetAttribute",
  deviceTotalMem: "cuDeviceTotalMem",
  primaryCtxRetain: "cuDevicePrimaryCtxRetain",
  primaryCtxRelease: "cuDevicePrimaryCtxRelease",
  primaryCtxReset: "cuDevicePrimaryCtxReset",
  ctxPushCurrent: "cuCtxPushCurrent",
  ctxPopCurrent: "cuCtxPopCurrent",
  streamCreate: "cuStreamCreate",
  streamDestroy: "cuStreamDestroy",
  streamSynchronize: "cuStreamSynchronize",
  memAlloc: "cuMemAlloc",
  memFree: "cuMemFree",
  memcpyHtoDAsync: "cuMemcpyHtoDAsync",
  memcpyDtoHAsync: "cuMemcpyDtoHAsync",
  memcpyDtoDAsync: "cuMemcpyDtoDAsync",
  memsetD8Async: "cuMemsetD8Async",
  moduleLoadData: "cuModuleLoadData",
  moduleUnload: "cuModuleUnload",
  moduleGetFunction: "cuModuleGetFunction",
  funcSetAttribute: "cuFuncSetAttribute",
  launchKernel: "cuLaunchKernel",
  streamBeginCapture: "cuStreamBeginCapture",
  streamEndCapture: "cuStreamEndCapture",
  graphInstantiate: "cuGraphInstantiateWithFlags",
  graphDestroy: "cuGraphDestroy",
  graphLaunch: "cuGraphLaunch",
  graphExecDestroy: "cuGraphExecDestroy",
  getErrorName: "cuGetErrorName",
  getErrorString: "cuGetErrorString",
};

const agreeing = (some: typeof numbers) =>
  Object.entries(some)
    .map(([ours, theirs]) => `static_assert(static_cast<int>(lossc::cuda::${ours}) == static_cast<int>(${theirs}), "${ours}");`)
    .join("\n");

test.skipIf(include === undefined)(
  `the declarations agree with NVIDIA's header${include === undefined ? " (skipped: there is no cuda.h)" : ""}`,
  () => {
    const source = scratchFile("header.cc");
    // Handles have names of our own, so parameters are compared by number and size.
    writeFileSync(
      source,
      `#include <cuda.h>
#include <library_types.h>
#include <type_traits>
#include "cuda/driver.h"
template <class T> struct Shape;
template <class R, class... A> struct Shape<R(A...)> {
  template <class S> struct Same : std::false_type {};
  template <class Q, class... B> struct Same<Q (*)(B...)> {
    static constexpr bool parameters() {
      if constexpr (sizeof...(A) == sizeof...(B)) return ((sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B>) && ...);
      else return false;
    }
    static constexpr bool value = sizeof(R) == sizeof(Q) && parameters();
  };
};
#define NAME(x) #x
#define BOUND(x) NAME(x)
${agreeing(numbers)}
#if CUDA_VERSION >= 13000
${agreeing(newer)}
#endif
static_assert(Shape<int(int, void*)>::Same<int (*)(unsigned, char*)>::value && !Shape<int(int)>::Same<int (*)(long long)>::value);
${Object.entries(functions)
  .map(
    ([ours, theirs]) =>
      `static_assert(Shape<decltype(${theirs})>::Same<decltype(lossc::cuda::Driver::${ours})>::value, "${ours}");`,
  )
  .join("\n")}
const char* bound[] = {${Object.values(functions)
        .map((theirs) => `BOUND(${theirs})`)
        .join(", ")}};
`,
    );
    const native = fileURLToPath(new URL("../../native", import.meta.url));
    const preprocessed = execFileSync(
      process.env.CXX ?? "c++",
      ["-std=c++20", `-I${native}`, "-isystem", include ?? "", "-E", source],
      {
        encoding: "utf8",
        maxBuffer: 1 << 28,
      },
    );
    execFileSync(process.env.CXX ?? "c++", ["-std=c++20", `-I${native}`, "-isystem", include ?? "", "-fsyntax-only", source], {
      stdio: "inherit",
    });
    // The versions: `cuMemAlloc` is `cuMemAlloc_v2` in the header, and so it must be in driver.cc.
    const names = /const char\* bound\[\] = \{(.*)\};/.exec(preprocessed)?.[1]?.replaceAll('"', "").split(", ");
    const driver = readFileSync(join(native, "cuda", "driver.cc"), "utf8");
    const bound = Array.from(driver.matchAll(/bind\((\w+), "(\w+)"\)/g), ([, member, symbol]) => [member, symbol]);
    expect(Object.fromEntries(bound)).toEqual(
      Object.fromEntries(Object.keys(functions).map((member, i) => [member, names?.[i]])),
    );
  },
);
