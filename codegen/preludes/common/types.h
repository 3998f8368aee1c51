#pragma once

namespace lossc {

typedef long long index;

struct bf16 { unsigned short bits; };
struct f16 { unsigned short bits; };

[[maybe_unused]] constexpr unsigned kNone = 0xffffffffu;
constexpr index kChunk = 1024;  // elements in a leaf of a fold over tokens, sequences or groups
[[maybe_unused]] constexpr float kLog2e = 1.44269504f;

template <int N, class T>
struct Values { T v[N]; };

#define LOSSC_INFINITY as_float(0x7f800000u)

}  // namespace lossc
