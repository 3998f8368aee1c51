// Functions are inlined into the kernels that call them.
#pragma once

#define LOSSC_FN inline __attribute__((always_inline))
