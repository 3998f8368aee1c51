// bf16 and f16 in integer arithmetic, rounded to nearest even. The preludes compute the same bits; the addon needs them for its matrix products.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace lossc::halves {

using Bits = std::uint16_t;

/// A choice by a mask. For `?:` the compiler may branch around an operand that seems expensive, and then the loop is not vectorised.
inline std::int32_t select(bool condition, std::int32_t one, std::int32_t other) {
  const std::int32_t mask = -std::int32_t{condition};
  return (one & mask) | (other & ~mask);
}

struct Bf16 {
  static float widen(Bits half) { return std::bit_cast<float>(std::uint32_t{half} << 16); }

  static Bits narrow(float x) {
    const auto word = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = (word + 0x7fffu + ((word >> 16) & 1u)) >> 16;
    return static_cast<Bits>((word & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
  }
};

struct F16 {
  static float widen(Bits half) {
    const std::int32_t magnitude = half & 0x7fff;
    const std::int32_t sign = (half ^ magnitude) << 16;
    // The product moves the exponent, and turns subnormal numbers into normal ones.
    const auto finite = std::bit_cast<std::int32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f);
    const std::int32_t special = 0x7f800000 | (magnitude << 13);
    return std::bit_cast<float>(sign | select(magnitude >= 0x7c00, special, finite));
  }

  static Bits narrow(float x) {
    const auto word = std::bit_cast<std::int32_t>(x);
    const std::int32_t magnitude = word & 0x7fffffff;
    // A float32 in [0.5, 1) has a last bit of 2^-24, the unit of subnormal f16 numbers. Adding 0.5 therefore rounds to that unit.
    const std::int32_t subnormal = std::bit_cast<std::int32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000;
    const std::int32_t normal = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    std::int32_t half = select(magnitude < 0x38800000, subnormal, normal);
    half = select(magnitude >= 0x477ff000, 0x7c00, half);  // 65520 and above
    half = select(magnitude > 0x7f800000, 0x7e00, half);
    return static_cast<Bits>(((word >> 16) & 0x8000) | half);
  }
};

/// Elements of one iteration. The compiler needs a constant to vectorise the loop.
constexpr std::size_t lanes = 16;

template <typename Half>
void widen(const Bits* __restrict from, float* __restrict to, std::size_t count) {
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane) to[i + lane] = Half::widen(from[i + lane]);
  for (; i < count; ++i) to[i] = Half::widen(from[i]);
}

/// to = from + beta · to, rounded once; a beta of 0 does not read `to`.
template <typename Half>
void narrow(const float* __restrict from, float beta, Bits* __restrict to, std::size_t count) {
  std::size_t i = 0;
  if (beta == 0) {
    for (; i + lanes <= count; i += lanes)
      for (std::size_t lane = 0; lane < lanes; ++lane) to[i + lane] = Half::narrow(from[i + lane]);
    for (; i < count; ++i) to[i] = Half::narrow(from[i]);
  } else {
    for (; i + lanes <= count; i += lanes)
      for (std::size_t lane = 0; lane < lanes; ++lane) to[i + lane] = Half::narrow(from[i + lane] + beta * Half::widen(to[i + lane]));
    for (; i < count; ++i) to[i] = Half::narrow(from[i] + beta * Half::widen(to[i]));
  }
}

}  // namespace lossc::halves
