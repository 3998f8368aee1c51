// The instructions of PTX, one function each, for the kernels that ptx.cc turns into C++. Only what the compilers make of lossc's text is here: an
// instruction that is not known is a function that the C++ compiler does not find. What a GPU would punish is remembered in `ptx_fault`.
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#include "emulator/lane.h"

using lossc::emulator::LosscLane;

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
using b16 = u16;
using b32 = u32;
using b64 = u64;
using f32 = float;
using f64 = double;
using pred = bool;
struct f16 {
  u16 bits;
};
/// Two halves in one word.
struct f16x2 {
  u32 bits;
};
struct bf16 {
  u16 bits;
};
struct bf16x2 {
  u32 bits;
};

/// The driver's: bytes of shared memory that the launch asked for, and whether a place of global memory is anybody's. And what it wants to know.
extern "C" {
int ptx_shared = 0;
bool (*ptx_reach)(const void* address, int bytes) = nullptr;
char ptx_fault[256] = "";
long long ptx_executed = 0;  // instructions of lanes
}

namespace ptx {

template <class T, class R> T as(R value) {
  static_assert(sizeof(T) == sizeof(R));
  T result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

/// Bits keep what they are; among integers a register or a number may be wider than what the instruction says, or narrower.
template <class T, class R> T get(R value) {
  if constexpr (sizeof(T) == sizeof(R)) {
    return as<T>(value);
  } else {
    static_assert(std::is_integral_v<T> && std::is_integral_v<R>);
    return static_cast<T>(value);
  }
}
template <class D, class T> void put(D& to, T value) { to = get<D>(value); }

template <class... R> std::tuple<R&...> all(R&... registers) { return {registers...}; }

inline f32 flushed(f32 x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

/// x computed while numbers are rounded in `mode`.
template <class F> auto rounding(int mode, F x) {
  const int before = std::fegetround();
  std::fesetround(mode);
  volatile auto result = x();
  std::fesetround(before);
  return decltype(x())(result);
}

inline f32 wide(f16 x) { return static_cast<f32>(as<_Float16>(x.bits)); }
inline f32 wide(bf16 x) { return as<f32>(u32(x.bits) << 16); }
inline f16 rounded(f32 x, f16) { return x != x ? f16{0x7fff} : f16{as<u16>(static_cast<_Float16>(x))}; }
inline bf16 rounded(f32 x, bf16) {
  const u32 bits = as<u32>(x);
  return x != x ? bf16{0x7fff} : bf16{static_cast<u16>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}
f16 halfOf(f16x2);
bf16 halfOf(bf16x2);
template <class T> using HalfOf = decltype(halfOf(T{}));
template <class H> u32 two(H low, H high) { return u32(low.bits) | u32(high.bits) << 16; }
template <class H> H low(u32 word) { return {static_cast<u16>(word)}; }
template <class H> H high(u32 word) { return {static_cast<u16>(word >> 16)}; }

/// The larger of two, or the smaller by signs: a NaN gives way, and -0 is less than 0.
template <class T> T larger(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a) return b;
    if (b != b) return a;
    if (a == b) return std::signbit(a) ? b : a;
  }
  return a < b ? b : a;
}
template <class T> T smaller(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return -larger(-a, -b);
  return b < a ? b : a;
}
inline f32 canonicalNan() { return as<f32>(u32{0x7fffffff}); }

/// To an integer, which holds what it can of x. A NaN is the upper bit where either has 64, else 0.
template <class D, class S> D saturated(f64 x) {
  if (x != x) return sizeof(D) == 8 || sizeof(S) == 8 ? static_cast<D>(u64{1} << (8 * sizeof(D) - 1)) : D{0};
  constexpr auto least = std::numeric_limits<D>::min(), most = std::numeric_limits<D>::max();
  if (x <= static_cast<f64>(least)) return least;
  return x >= static_cast<f64>(most) ? most : static_cast<D>(x);
}

struct Lane {
  const LosscLane* lane;
  const void* arguments;

  // ---- places ----

  enum { readIt, writeIt, atomicIt, fenceIt };
  /// A lane that did wrong reads and writes here, and all go on.
  alignas(16) unsigned char nowhere[16] = {};

  void fault(const char* what, u64 address, int bytes) {
    if (ptx_fault[0] == 0)
      std::snprintf(ptx_fault, sizeof ptx_fault, "thread %d of block %lld: %s, %d bytes at 0x%llx", lane->thread, lane->block, what, bytes,
                    static_cast<unsigned long long>(address));
  }
  void touch(const void* place, int bytes, int how) const {
    if (lane->touch != nullptr) lane->touch(place, bytes, how);
  }
  bool aligned(u64 address, int bytes) {
    if (address % static_cast<u64>(bytes) == 0) return true;
    fault("a misaligned access", address, bytes);
    return false;
  }
  unsigned char* global(u64 address, int bytes) {
    auto* place = reinterpret_cast<unsigned char*>(address);
    if (!aligned(address, bytes)) return nowhere;
    if (ptx_reach == nullptr || ptx_reach(place, bytes)) return place;
    fault("an access to global memory of no allocation", address, bytes);
    return nowhere;
  }
  /// Addresses of shared memory count from the block's first byte.
  unsigned char* shared(u64 address, int bytes) {
    if (!aligned(address, bytes)) return nowhere;
    if (bytes <= ptx_shared && address <= static_cast<u64>(ptx_shared - bytes)) return static_cast<unsigned char*>(lane->shared) + address;
    fault("an access beside shared memory", address, bytes);
    return nowhere;
  }
  /// In an address for the whole cluster the upper byte is the block's rank, plus one.
  unsigned char* ofCluster(u64 address, int bytes) {
    auto* mine = shared(address & 0xffffffu, bytes);
    const int rank = static_cast<int>(address >> 24) - 1;
    return rank < 0 || mine == nowhere ? mine : static_cast<unsigned char*>(lane->remote(lane, mine, rank));
  }

  template <class T, class D> void load(D& to, const unsigned char* place) {
    T value;
    std::memcpy(&value, place, sizeof value);
    touch(place, sizeof value, readIt);
    put(to, extended<D>(value));
  }
  /// Signs go up to the width of the register.
  template <class D, class T> static auto extended(T value) {
    if constexpr (std::is_signed_v<T> && std::is_integral_v<T> && sizeof(D) > sizeof(T))
      return static_cast<s64>(value);
    else
      return value;
  }
  template <class T, class... D> void loadAll(std::tuple<D&...> to, const unsigned char* place) {
    std::apply([&](auto&... each) { (load<T>(each, std::exchange(place, place + sizeof(T))), ...); }, to);
  }
  template <class T, class S> void store(unsigned char* place, S from) {
    const T value = get<T>(from);
    touch(place, sizeof value, writeIt);
    std::memcpy(place, &value, sizeof value);
  }
  template <class T, class... S> void storeAll(unsigned char* place, std::tuple<S&...> from) {
    std::apply([&](auto&... each) { (store<T>(std::exchange(place, place + sizeof(T)), each), ...); }, from);
  }

  template <class T, class D> void op_ld_param(D& to, u64 address) { load<T>(to, reinterpret_cast<const unsigned char*>(address)); }
  template <class T, class D> void op_ld_global(D& to, u64 address) { load<T>(to, global(address, sizeof(T))); }
  template <class T, class D> void op_ld_global_nc(D& to, u64 address) { load<T>(to, global(address, sizeof(T))); }
  template <class T, class D> void op_ld_relaxed_gpu_global(D& to, u64 address) { load<T>(to, global(address, sizeof(T))); }
  template <class T, class D> void op_ld_shared(D& to, u64 address) { load<T>(to, shared(address, sizeof(T))); }
  template <class T, class D> void op_ld_global_v2(D to, u64 address) { loadAll<T>(to, global(address, 2 * sizeof(T))); }
  template <class T, class D> void op_ld_global_v4(D to, u64 address) { loadAll<T>(to, global(address, 4 * sizeof(T))); }
  template <class T, class D> void op_ld_shared_v2(D to, u64 address) { loadAll<T>(to, shared(address, 2 * sizeof(T))); }
  template <class T, class D> void op_ld_shared_v4(D to, u64 address) { loadAll<T>(to, shared(address, 4 * sizeof(T))); }
  template <class T, class S> void op_st_global(u64 address, S from) { store<T>(global(address, sizeof(T)), from); }
  template <class T, class S> void op_st_shared(u64 address, S from) { store<T>(shared(address, sizeof(T)), from); }
  template <class T, class S> void op_st_shared_cluster(u64 address, S from) { store<T>(ofCluster(address, sizeof(T)), from); }
  template <class T, class S> void op_st_global_v2(u64 address, S from) { storeAll<T>(global(address, 2 * sizeof(T)), from); }
  template <class T, class S> void op_st_global_v4(u64 address, S from) { storeAll<T>(global(address, 4 * sizeof(T)), from); }
  template <class T, class S> void op_st_global_cs_v4(u64 address, S from) { storeAll<T>(global(address, 4 * sizeof(T)), from); }
  template <class T, class S> void op_st_shared_v2(u64 address, S from) { storeAll<T>(shared(address, 2 * sizeof(T)), from); }
  template <class T, class S> void op_st_shared_v4(u64 address, S from) { storeAll<T>(shared(address, 4 * sizeof(T)), from); }
  template <class T, class D> void op_mapa_shared_cluster(D& to, u32 address, u32 rank) { to = address | (rank + 1) << 24; }
  void op_cp_async_cg_shared_global(u64 to, u64 from, int bytes) { lane->copy(lane, shared(to, bytes), global(from, bytes), bytes); }
  void op_cp_async_ca_shared_global(u64 to, u64 from, int bytes) { lane->copy(lane, shared(to, bytes), global(from, bytes), bytes); }
  void op_cp_async_wait_all() { lane->copies_done(lane); }
  template <class T, class D, class S> void op_atom_global_add(D& to, u64 address, S by) { atomic<T>(to, address, [&](T old) { return old + get<T>(by); }); }
  template <class T, class D, class S> void op_atom_global_min(D& to, u64 address, S by) { atomic<T>(to, address, [&](T old) { return smaller(old, get<T>(by)); }); }
  template <class T, class D, class F> void atomic(D& to, u64 address, F change) {
    auto* place = global(address, sizeof(T));
    touch(place, sizeof(T), atomicIt);
    T old;
    std::memcpy(&old, place, sizeof old);
    const T fresh = change(old);
    std::memcpy(place, &fresh, sizeof fresh);
    put(to, old);
  }
  template <class T, class D, class S> void op_cvta_to_global(D& to, S from) { put(to, get<T>(from)); }

  // ---- where lanes meet ----

  void op_bar_sync(int barrier) {
    if (barrier != 0) fault("a barrier that is not the first", 0, 0);
    lane->barrier(lane);
  }
  /// A warp that is not whole has as many lanes as the block's last one.
  void op_bar_warp_sync(u32 mask) {
    if (mask != ~0u) fault("a meeting of only some lanes of a warp", mask, 0);
    lane->shuffle(lane, 0, lane->thread % 32, 32);
  }
  void op_barrier_cluster_arrive_relaxed_aligned() { lane->cluster_arrive(lane); }
  void op_barrier_cluster_arrive_release_aligned() { lane->cluster_arrive(lane); }
  void op_barrier_cluster_wait_acquire_aligned() { lane->cluster_wait(lane); }
  void op_fence_acq_rel_gpu() { touch(nullptr, 0, fenceIt); }
  template <class T, class A, class B> void op_shfl_sync_idx(std::tuple<u32&, bool&> to, A value, B source, u32 clamp, u32 mask) {
    const int lanes = __builtin_popcount(mask), mine = lane->thread % 32;
    const bool whole = lanes == 32 ? mask == ~0u : lanes != 0 && 32 % lanes == 0 && mask == ((1u << lanes) - 1u) << mine / lanes * lanes;
    if (!whole || clamp != 31) fault("a shuffle among lanes that are no aligned group of the lane's", mask, lanes);
    std::get<0>(to) = whole ? lane->shuffle(lane, get<u32>(value), static_cast<int>(get<u32>(source) & 31u), lanes) : get<u32>(value);
    std::get<1>(to) = true;
  }

  // ---- moves and conversions ----

  template <class T, class D, class S> void op_mov(D& to, S from) { put(to, get<T>(from)); }
  template <class T> using Half = std::conditional_t<sizeof(T) == 8, u32, u16>;
  template <class T, class L, class H, class S> void op_mov(std::tuple<L&, H&> to, S from) {
    const auto word = get<T>(from);
    put(std::get<0>(to), static_cast<Half<T>>(word));
    put(std::get<1>(to), static_cast<Half<T>>(word >> 4 * sizeof(T)));
  }
  template <class T, class D, class L, class H> void op_mov(D& to, std::tuple<L&, H&> from) {
    put(to, static_cast<T>(get<Half<T>>(std::get<0>(from)) | static_cast<T>(get<Half<T>>(std::get<1>(from))) << 4 * sizeof(T)));
  }
  template <class T, class D, class A, class B> void op_selp(D& to, A a, B b, bool which) { put(to, which ? get<T>(a) : get<T>(b)); }

  template <class T, class F, class D, class S> void op_cvt(D& to, S from) {
    if constexpr (std::is_same_v<F, f16>)
      put(to, static_cast<T>(wide(get<F>(from))));
    else
      put(to, static_cast<T>(get<F>(from)));
  }
  template <class T, class F, class D, class S> void op_cvt_rn(D& to, S from) {
    if constexpr (std::is_same_v<T, f16> || std::is_same_v<T, bf16>)
      put(to, nearest<T, F>(from));
    else
      put(to, static_cast<T>(get<F>(from)));
  }
  template <class T, class F, class D, class A, class B> void op_cvt_rn(D& to, A a, B b) { put(to, two(nearest<HalfOf<T>, F>(b), nearest<HalfOf<T>, F>(a))); }
  template <class T, class F, class S> static T nearest(S from) {
    static_assert(std::is_same_v<F, f32>);
    return rounded(get<F>(from), T{});
  }
  template <class T, class F, class D, class S> void integral(D& to, S from, f64 (*way)(f64)) {
    const auto value = way(get<F>(from));
    if constexpr (std::is_integral_v<T>)
      put(to, saturated<T, F>(value));
    else
      put(to, static_cast<T>(value));
  }
  template <class T, class F, class D, class S> void op_cvt_rni(D& to, S from) { integral<T, F>(to, from, std::nearbyint); }
  template <class T, class F, class D, class S> void op_cvt_rzi(D& to, S from) { integral<T, F>(to, from, std::trunc); }
  template <class T, class F, class D, class S> void op_cvt_rmi(D& to, S from) { integral<T, F>(to, from, std::floor); }
  template <class T, class F, class D, class S> void op_cvt_sat(D& to, S from) {
    static_assert(std::is_floating_point_v<T>);
    const auto x = get<F>(from);
    put(to, x > 0 ? smaller(static_cast<T>(x), T{1}) : T{0});
  }

  // ---- integers and bits ----

  template <class T> using Unsigned = std::make_unsigned_t<T>;
  template <class T, class D, class A, class B> void op_add(D& to, A a, B b) { put(to, static_cast<T>(Unsigned<T>(get<T>(a)) + Unsigned<T>(get<T>(b)))); }
  template <class T, class D, class A, class B> void op_sub(D& to, A a, B b) { put(to, static_cast<T>(Unsigned<T>(get<T>(a)) - Unsigned<T>(get<T>(b)))); }
  template <class T, class D, class A, class B> void op_mul_lo(D& to, A a, B b) { put(to, static_cast<T>(u64(get<T>(a)) * u64(get<T>(b)))); }
  template <class T, class D, class A, class B, class C> void op_mad_lo(D& to, A a, B b, C c) {
    put(to, static_cast<T>(u64(get<T>(a)) * u64(get<T>(b)) + u64(get<T>(c))));
  }
  template <class T, class D, class A, class B> void op_mul_wide(D& to, A a, B b) {
    static_assert(sizeof(D) == 2 * sizeof(T));
    using Wide = std::conditional_t<std::is_signed_v<T>, s64, u64>;
    put(to, static_cast<D>(Wide(get<T>(a)) * Wide(get<T>(b))));
  }
  template <class T, class D, class A, class B> void op_div(D& to, A a, B b) { put(to, static_cast<T>(get<T>(a) / divisor(get<T>(b)))); }
  template <class T, class D, class A, class B> void op_rem(D& to, A a, B b) { put(to, static_cast<T>(get<T>(a) % divisor(get<T>(b)))); }
  template <class T> T divisor(T by) {
    if (by == 0) fault("a division by zero", 0, sizeof(T));
    return by == 0 ? 1 : by;
  }
  template <class T, class D, class A, class B> void op_and(D& to, A a, B b) { put(to, static_cast<T>(get<T>(a) & get<T>(b))); }
  template <class T, class D, class A, class B> void op_or(D& to, A a, B b) { put(to, static_cast<T>(get<T>(a) | get<T>(b))); }
  template <class T, class D, class A, class B> void op_xor(D& to, A a, B b) { put(to, static_cast<T>(get<T>(a) ^ get<T>(b))); }
  template <class T, class D, class A> void op_not(D& to, A a) {
    if constexpr (std::is_same_v<T, pred>)
      to = !a;
    else
      put(to, static_cast<T>(~get<T>(a)));
  }
  template <class T, class D, class A> void op_shl(D& to, A a, u32 by) { put(to, by < 8 * sizeof(T) ? static_cast<T>(get<T>(a) << by) : T{0}); }
  template <class T, class D, class A> void op_shr(D& to, A a, u32 by) {
    const u32 most = 8 * sizeof(T) - 1;
    put(to, by <= most ? static_cast<T>(get<T>(a) >> by) : std::is_signed_v<T> ? static_cast<T>(get<T>(a) >> most) : T{0});
  }
  template <class T, class D, class A, class B> void op_bfi(D& to, A a, B b, u32 from, u32 length) {
    const auto shifted = [from](u64 bits) { return from % 256 < 64 ? static_cast<T>(bits << from % 256) : T{0}; };
    const T mask = shifted(length % 256 < 64 ? (u64{1} << length % 256) - 1 : ~u64{0});
    put(to, static_cast<T>((get<T>(b) & ~mask) | (shifted(get<T>(a)) & mask)));
  }

  // ---- floating point ----

  template <class T, class D, class A, class B> void op_add_rn(D& to, A a, B b) { put(to, get<T>(a) + get<T>(b)); }
  template <class T, class D, class A, class B> void op_sub_rn(D& to, A a, B b) { put(to, get<T>(a) - get<T>(b)); }
  template <class T, class D, class A, class B> void op_mul_rn(D& to, A a, B b) { put(to, get<T>(a) * get<T>(b)); }
  template <class T, class D, class A, class B> void op_div_rn(D& to, A a, B b) { put(to, get<T>(a) / get<T>(b)); }
  template <class T, class D, class A> void op_sqrt_rn(D& to, A a) { put(to, std::sqrt(get<T>(a))); }
  template <class T, class D, class A> void op_rcp_rn(D& to, A a) { put(to, T{1} / get<T>(a)); }
  template <class T, class D, class A, class B> void op_add_rz(D& to, A a, B b) {
    const volatile T x = get<T>(a), y = get<T>(b);
    put(to, rounding(FE_TOWARDZERO, [&] { return T(x + y); }));
  }
  template <class T, class D, class A, class B, class C> void op_fma_rm(D& to, A a, B b, C c) {
    put(to, rounding(FE_DOWNWARD, [&] { return std::fma(get<T>(a), get<T>(b), get<T>(c)); }));
  }
  template <class T, class D, class A, class B, class C> void op_fma_rn(D& to, A a, B b, C c) {
    if constexpr (std::is_same_v<T, bf16x2> || std::is_same_v<T, f16x2>)
      put(to, two(fused(low<HalfOf<T>>(a), low<HalfOf<T>>(b), low<HalfOf<T>>(c)), fused(high<HalfOf<T>>(a), high<HalfOf<T>>(b), high<HalfOf<T>>(c))));
    else
      put(to, std::fma(get<T>(a), get<T>(b), get<T>(c)));
  }
  /// Of a sum that is not exact, the last bit is made odd: rounded again, it goes where the exact one would.
  template <class H> static H fused(H a, H b, H c) {
    const f64 product = f64(wide(a)) * wide(b), addend = wide(c), sum = product + addend;
    const f64 part = sum - product, lost = (product - (sum - part)) + (addend - part);
    const f32 near = static_cast<f32>(sum);
    const f64 rest = (sum - near) + lost;
    const bool even = (as<u32>(near) & 1) == 0;
    return rounded(std::isfinite(near) && rest != 0 && even ? std::nextafter(near, std::copysign(INFINITY, static_cast<f32>(rest))) : near, H{});
  }
  template <class T, class D, class A> void op_ex2_approx_ftz(D& to, A a) { put(to, flushed(std::exp2(flushed(get<T>(a))))); }
  template <class T, class D, class A> void op_ex2_approx(D& to, A a) { put(to, std::exp2(get<T>(a))); }
  template <class T, class D, class A> void op_rcp_approx_ftz(D& to, A a) {
    const T x = get<T>(a);
    if constexpr (std::is_same_v<T, f32>)
      put(to, flushed(1.0f / flushed(x)));
    else  // of both, only the upper half is looked at
      put(to, as<f64>(as<u64>(1.0 / as<f64>(as<u64>(x) & ~u64{0xffffffff})) & ~u64{0xffffffff}));
  }
  template <class T, class D, class A> void op_neg(D& to, A a) {
    if constexpr (std::is_integral_v<T>)
      put(to, static_cast<T>(0 - Unsigned<T>(get<T>(a))));
    else
      put(to, -get<T>(a));
  }
  template <class T, class D, class A> void op_abs(D& to, A a) {
    const T x = get<T>(a);
    if constexpr (std::is_integral_v<T>)
      put(to, static_cast<T>(x < 0 ? 0 - Unsigned<T>(x) : Unsigned<T>(x)));
    else
      put(to, std::fabs(x));
  }
  template <class T, class D, class A, class B> void op_copysign(D& to, A a, B b) { put(to, std::copysign(get<T>(b), get<T>(a))); }
  template <class T, class D, class A, class B> void op_max(D& to, A a, B b) { put(to, larger(get<T>(a), get<T>(b))); }
  template <class T, class D, class A, class B> void op_min(D& to, A a, B b) { put(to, smaller(get<T>(a), get<T>(b))); }
  template <class T, class D, class A, class B> void op_max_NaN(D& to, A a, B b) {
    put(to, apart<T>(a, b, [](f32 x, f32 y) { return x != x || y != y ? canonicalNan() : larger(x, y); }));
  }
  template <class T, class D, class A, class B> void op_min_NaN(D& to, A a, B b) {
    put(to, apart<T>(a, b, [](f32 x, f32 y) { return x != x || y != y ? canonicalNan() : smaller(x, y); }));
  }
  /// Of two halves in a word, what f gives of each.
  template <class T, class A, class B, class F> static auto apart(A a, B b, F f) {
    if constexpr (std::is_same_v<T, f32>) {
      return f(get<f32>(a), get<f32>(b));
    } else {
      using H = HalfOf<T>;
      return two(rounded(f(wide(low<H>(a)), wide(low<H>(b))), H{}), rounded(f(wide(high<H>(a)), wide(high<H>(b))), H{}));
    }
  }

  // ---- comparisons: with a u, or num and nan, NaNs say yes or are asked for ----

  template <class T, class A, class B, class F> static bool compared(A a, B b, F f) { return f(get<T>(a), get<T>(b)); }
#define PTX_SETP(name, expression) \
  template <class T, class A, class B> void op_setp_##name(bool& to, A left, B right) { to = compared<T>(left, right, [](T a, T b) { return expression; }); }
  PTX_SETP(eq, a == b)
  PTX_SETP(ne, a != b && a == a && b == b)
  PTX_SETP(lt, a < b)
  PTX_SETP(le, a <= b)
  PTX_SETP(gt, a > b)
  PTX_SETP(ge, a >= b)
  PTX_SETP(equ, a == b || a != a || b != b)
  PTX_SETP(neu, a != b)
  PTX_SETP(ltu, !(a >= b))
  PTX_SETP(leu, !(a > b))
  PTX_SETP(gtu, !(a <= b))
  PTX_SETP(geu, !(a < b))
  PTX_SETP(num, a == a && b == b)
  PTX_SETP(nan, a != a || b != b)
#undef PTX_SETP
  /// Of two halves in a word: all bits of one for which it holds.
  template <class R, class T, class D, class A, class B> void op_set_neu(D& to, A a, B b) {
    using H = HalfOf<T>;
    put(to, R{wide(low<H>(a)) != wide(low<H>(b)) ? 0xffffu : 0} | R{wide(high<H>(a)) != wide(high<H>(b)) ? 0xffff0000u : 0});
  }
};

}  // namespace ptx
