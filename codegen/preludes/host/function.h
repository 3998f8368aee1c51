#pragma once

#define LOSSC_FN inline __attribute__((always_inline))
