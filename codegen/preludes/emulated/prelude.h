// The prelude of the target `emulated`.
#pragma once

#include "primitives.h"
#include "../simt/entries.h"
#include "../common/tails.h"
