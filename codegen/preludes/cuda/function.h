#pragma once

#define LOSSC_FN __device__ __forceinline__
