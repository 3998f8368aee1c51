// Element types and the infinity of float32, on every target.
#pragma once

namespace lossc {

typedef long long index;

struct bf16 { unsigned short bits; };
struct f16 { unsigned short bits; };

[[maybe_unused]] constexpr float kLog2e = 1.44269504f;

template <int N, class T>
struct Values { T v[N]; };

#define LOSSC_INFINITY as_float(0x7f800000u)

}  // namespace lossc
