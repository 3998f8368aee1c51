// The part of NVIDIA's interfaces that lossc calls. It is declared here, so that the build needs no CUDA header.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lossc::cuda {

// Driver API. Handles are opaque pointers.
using Result = int;
using DeviceOrdinal = int;
using DevicePointer = unsigned long long;
using Context = struct ContextTag*;
using Stream = struct StreamTag*;
using ModuleHandle = struct ModuleTag*;
using Function = struct FunctionTag*;
using Graph = struct GraphTag*;
using GraphExec = struct GraphExecTag*;

enum : Result {
  success = 0,
  invalidValue = 1,
  outOfMemory = 2,
  deinitialized = 4,
  stubLibrary = 34,
  deviceUnavailable = 46,
  noDevice = 100,
  invalidDevice = 101,
  eccUncorrectable = 214,
  nvlinkUncorrectable = 220,
  contained = 226,
  notFound = 500,
  illegalAddress = 700,
  launchTimeout = 702,
  contextIsDestroyed = 709,
  assertion = 710,
  hardwareStackError = 714,
  illegalInstruction = 715,
  misalignedAddress = 716,
  invalidAddressSpace = 717,
  invalidPc = 718,
  launchFailed = 719,
  tensorMemoryLeak = 721,
  systemDriverMismatch = 803,
  compatNotSupported = 804,
  mpsClientTerminated = 810,
  unknownError = 999,
};

enum Attribute : int { multiprocessorCount = 16, computeCapabilityMajor = 75, computeCapabilityMinor = 76 };

enum FunctionAttribute : int { maxDynamicSharedBytes = 8, preferredSharedCarveout = 9 };

enum StreamFlag : unsigned { streamNonBlocking = 1 };

enum CaptureMode : int { captureThreadLocal = 1 };

// `extra` of a launch: the argument struct by address and size. With the size the driver detects a struct that does not match the kernel.
inline void* const launchParamEnd = nullptr;
inline void* const launchParamBufferPointer = reinterpret_cast<void*>(1);
inline void* const launchParamBufferSize = reinterpret_cast<void*>(2);

// NVRTC.
using RtcResult = int;
using RtcProgram = struct RtcProgramTag*;
enum : RtcResult { rtcSuccess = 0, rtcInvalidOption = 5, rtcCompilation = 6 };

// cuBLAS.
using BlasStatus = int;
using BlasHandle = struct BlasHandleTag*;
enum : BlasStatus { blasSuccess = 0, blasAllocFailed = 3 };
enum BlasOperation : int { blasNoTranspose = 0, blasTranspose = 1 };
// Operand types of a product (library_types.h), its compute type, and the choice of algorithm.
enum BlasDtype : int { blasFloat32 = 0, blasFloat16 = 2, blasBfloat16 = 14 };
enum BlasCompute : int { blasComputeFloat32 = 68 };
enum BlasAlgorithm : int { blasDefaultAlgorithm = -1 };
/// Partial sums are reduced in float32, not in the dtype of the result.
enum BlasMath : int { blasWholeSums = 16 };
enum BlasProperty : int { blasMajor = 0, blasMinor = 1, blasPatch = 2 };

}  // namespace lossc::cuda
