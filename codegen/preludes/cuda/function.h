// Functions are inlined into the kernels that call them.
#pragma once

#define LOSSC_FN __device__ __forceinline__
