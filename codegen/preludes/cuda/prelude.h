// The prelude of the target `cuda`.
#pragma once

#include "primitives.h"
#include "../simt/entries.h"
#include "../common/tails.h"
