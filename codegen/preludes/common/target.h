// The primitives that the common headers are written in. In the text of a kernel this header stands for the `primitives.h` of the kernel's target.
// For an editor that opens a common header alone it chooses one: CUDA's where the compiler is CUDA's, the CPU's elsewhere.
#pragma once

#if defined(LOSSC_FN)
// Whoever includes the common header has included its own primitives.
#elif defined(__CUDACC__)
#include "../cuda/primitives.h"
#else
#include "../cpu/primitives.h"
#endif
