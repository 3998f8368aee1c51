// The prelude of the target `cpu`.
#pragma once

#include "entries.h"
#include "../common/tails.h"
