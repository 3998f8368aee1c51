// The primitives of the CPU that the common headers are written in.
#pragma once

#include "memory.h"
