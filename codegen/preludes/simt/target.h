// The primitives of a lane. In the text of a kernel this header stands for the `primitives.h` of the kernel's target, as common/target.h does.
#pragma once

#if defined(__CUDACC__)
#include "../cuda/primitives.h"
#else
#include "../emulated/primitives.h"
#endif
