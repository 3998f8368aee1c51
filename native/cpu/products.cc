#include "cpu/products.h"

#include <algorithm>

#include "core/halves.h"
#include "cpu/openblas.h"

namespace lossc {
namespace {

/// Largest side of a tile, in entries. Two panels of 512 × 256 and a tile of float32 take 2 MiB per thread.
constexpr int side = 512;
/// Terms of the inner sum per step, for widened panels and for operands that are used in place. The abort flag is read between steps.
constexpr int widenedDepth = 256;
constexpr int depth = 4096;
/// Number of tiles that is enough for a large machine. It does not depend on the number of threads, since tiles determine bits.
constexpr std::int64_t enough = 64;
/// Smallest useful side of a tile. Smaller tiles take longer to pack than to multiply.
constexpr int leastSide = 128;
/// Number of operations that takes longer than a wake-up.
constexpr double worthWaking = 4e6;

/// Entries [begin, begin + size) of a dimension.
struct Range {
  int begin, size;
};

std::int64_t pieces(int total, int piece) { return (total + piece - 1) / piece; }

Range range(std::int64_t index, int piece, int total) {
  const auto begin = static_cast<int>(index) * piece;
  return {begin, std::min(piece, total - begin)};
}

/// The side that cuts a dimension into so many pieces, a multiple of the vector length.
int even(int total, std::int64_t count) { return static_cast<int>((pieces(total, static_cast<int>(count)) + 15) / 16 * 16); }

/// The tiling of c.
struct Tiling {
  int rows, columns;

  Tiling(int m, int n) {
    auto down = pieces(m, side), across = pieces(n, side);
    while (down * across < enough && std::max(m / down, n / across) >= 2 * leastSide) (m / down > n / across ? down : across) *= 2;
    rows = even(m, down);
    columns = even(n, across);
  }
};

std::size_t entry(int row, int rowLength, int column) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(rowLength) + static_cast<std::size_t>(column);
}

template <typename Half>
void widen(const halves::Bits* from, int rowLength, Range rows, Range columns, float* to) {
  for (int row = 0; row < rows.size; ++row)
    halves::widen<Half>(from + entry(rows.begin + row, rowLength, columns.begin), to + entry(row, columns.size, 0),
                        static_cast<std::size_t>(columns.size));
}

/// A block of an operand, in place or widened into the panel.
Operand block(const Matrix& matrix, int rowLength, Range rows, Range columns, bool transposed, float* panel) {
  if (transposed) std::swap(rows, columns);
  if (matrix.dtype == Dtype::f32)
    return {reinterpret_cast<const float*>(matrix.address) + entry(rows.begin, rowLength, columns.begin), rowLength, transposed};
  const auto* from = reinterpret_cast<const halves::Bits*>(matrix.address);
  if (matrix.dtype == Dtype::bf16) widen<halves::Bf16>(from, rowLength, rows, columns, panel);
  else widen<halves::F16>(from, rowLength, rows, columns, panel);
  return {panel, std::max(1, columns.size), transposed};
}

template <typename Half>
void narrow(const float* sums, float beta, halves::Bits* to, int rowLength, Range rows, Range columns) {
  for (int row = 0; row < rows.size; ++row)
    halves::narrow<Half>(sums + entry(row, columns.size, 0), beta, to + entry(rows.begin + row, rowLength, columns.begin),
                         static_cast<std::size_t>(columns.size));
}

/// One tile of c. The scratch holds a panel of each operand and the sums, for those that are not float32 in memory.
void multiply(const Matmul& x, Range rows, Range columns, std::vector<float>& scratch, const Interrupt& interrupt) {
  const bool widened = x.a.dtype != Dtype::f32;
  const bool narrowed = x.c.dtype != Dtype::f32;
  const int step = std::min(widened ? widenedDepth : depth, x.k);
  const auto sizeA = widened ? entry(rows.size, step, 0) : 0, sizeB = widened ? entry(columns.size, step, 0) : 0;
  scratch.resize(std::max(scratch.size(), sizeA + sizeB + (narrowed ? entry(rows.size, columns.size, 0) : 0)));
  float* const panelA = scratch.data();
  float* const panelB = panelA + sizeA;
  float* const sums = narrowed ? panelB + sizeB : reinterpret_cast<float*>(x.c.address) + entry(rows.begin, x.n, columns.begin);
  const int leading = narrowed ? columns.size : x.n;

  float beta = narrowed ? 0.0f : x.beta;
  int done = 0;
  // At least one step: with no terms at all, c is still scaled.
  do {
    interrupt.check();
    const Range terms{done, std::min(step, x.k - done)};
    const auto a = block(x.a, x.rowOfA(), rows, terms, x.transposeA, panelA);
    const auto b = block(x.b, x.rowOfB(), terms, columns, x.transposeB, panelB);
    OpenBlas::instance().multiply(rows.size, columns.size, terms.size, x.alpha, a, b, beta, sums, leading);
    beta = 1.0f;
    done += terms.size;
  } while (done < x.k);

  if (!narrowed) return;
  auto* to = reinterpret_cast<halves::Bits*>(x.c.address);
  x.c.dtype == Dtype::bf16 ? narrow<halves::Bf16>(sums, x.beta, to, x.n, rows, columns) : narrow<halves::F16>(sums, x.beta, to, x.n, rows, columns);
}

}  // namespace

void Products::run(const Matmul& x, Pool& pool, const Interrupt& interrupt) {
  OpenBlas::instance().require();
  if (x.m == 0 || x.n == 0) return;
  const Tiling tile(x.m, x.n);
  const auto across = pieces(x.n, tile.columns);
  const auto down = pieces(x.m, tile.rows);
  const bool worth = 2.0 * x.m * x.n * x.k > worthWaking;
  // Tiles go down the columns, so that consecutive tiles share a panel of b in the cache.
  pool.visit(across * down, 1, interrupt, [&](std::int64_t begin, std::int64_t end, int thread) {
    for (auto index = begin; index < end; ++index)
      multiply(x, range(index % down, tile.rows, x.m), range(index / down, tile.columns, x.n), scratch_[static_cast<std::size_t>(thread)], interrupt);
  }, worth ? Pool::Wake::atOnce : Pool::Wake::whereWorth);
}

}  // namespace lossc
