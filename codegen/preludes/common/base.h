// ---- values and folds: what a row, or a run of tokens, is reduced to ----
#pragma once

#include "constants.h"
#include "target.h"

namespace lossc {

template <class T, class... Rest>
LOSSC_FN Values<1 + sizeof...(Rest), T> values(T first, Rest... rest) {
  return {{first, rest...}};
}

template <class A, class B> LOSSC_FN auto select(bool c, A a, B b) -> decltype(c ? A() : B()) { return c ? a : b; }
template <class T> LOSSC_FN T max_(T a, T b) { return select(either(a != a, a > b), a, b); }
template <class T> LOSSC_FN T min_(T a, T b) { return select(either(a != a, a < b), a, b); }

struct Sum {
  static constexpr bool kOrdered = true;  // whether the result depends on the order
  template <class T> static LOSSC_FN T identity() { return splat<T>(0.0f); }
  template <class T> static LOSSC_FN T merge(T a, T b) { return a + b; }
};
struct Max {
  static constexpr bool kOrdered = false;
  template <class T> static LOSSC_FN T identity() { return splat<T>(-LOSSC_INFINITY); }
  template <class T> static LOSSC_FN T merge(T a, T b) { return max_(a, b); }
};
struct Min {
  static constexpr bool kOrdered = false;
  template <class T> static LOSSC_FN T identity() { return splat<T>(LOSSC_INFINITY); }
  template <class T> static LOSSC_FN T merge(T a, T b) { return min_(a, b); }
};

template <class... F>
struct Folds {
  static constexpr int N = sizeof...(F);
  static constexpr bool kOrdered = (F::kOrdered || ...);
  template <class T> static LOSSC_FN Values<N, T> identity() { return {{F::template identity<T>()...}}; }
  template <class T> static LOSSC_FN Values<N, T> merge(const Values<N, T>& a, const Values<N, T>& b) {
    Values<N, T> r;
    int i = 0;
    ((r.v[i] = F::merge(a.v[i], b.v[i]), ++i), ...);
    return r;
  }
};

template <int N, class F>
struct AllOf {
  template <class T> static LOSSC_FN Values<N, T> merge(const Values<N, T>& a, const Values<N, T>& b) {
    Values<N, T> r;
    for (int i = 0; i < N; ++i) r.v[i] = F::merge(a.v[i], b.v[i]);
    return r;
  }
};

// Rules by which sums that each part of a row has taken from its own maxima are brought to the row's.
template <int MAX> struct Scaled {  // a sum of e · h, e = exp(x - maximum MAX)
  static constexpr int kMax = MAX, kSum = -1;
  template <class By> static LOSSC_FN double shift(const By&) { return 0.0; }
};
// A sum of e · (± distances from maxima); SUM is the sum of the same e. `by` gives the distance of a part's maximum from the row's, in powers of two.
template <int MAX, int SUM, class... Parts> struct Shifted {
  static constexpr int kMax = MAX, kSum = SUM;
  template <class By> static LOSSC_FN double shift(const By& by) { return (Parts::of(by) + ...); }
};
template <int MAX> struct Exponent {
  template <class By> static LOSSC_FN double of(const By& by) { return by(MAX); }
};
template <int MAX> struct Distance {
  template <class By> static LOSSC_FN double of(const By& by) { return by(MAX) * 0.69314718055994531; }
};
template <class Part> struct Minus {
  template <class By> static LOSSC_FN double of(const By& by) { return -Part::of(by); }
};

// The values in another type: lanes fold in float32, and their results are folded in float64.
template <class To, int N, class From> LOSSC_FN Values<N, To> converted(const Values<N, From>& v) {
  Values<N, To> r;
  for (int i = 0; i < N; ++i) r.v[i] = To(v.v[i]);
  return r;
}

// ---- memory: one element at a time, widened ----

template <class T> LOSSC_FN float load(const T* p, index i) { return widen(read(p, i)); }
LOSSC_FN int load(const int* p, index i) { return read(p, i); }
template <class T> LOSSC_FN float load_or(const T* p, index i, float otherwise) { return p ? load(p, i) : otherwise; }
template <class T> LOSSC_FN void store(T* p, index i, float v) { T narrowed; narrow(v, narrowed); write(p, i, narrowed); }
LOSSC_FN void store(double* p, index i, double v) { write(p, i, v); }
LOSSC_FN void store(int* p, index i, int v) { write(p, i, v); }

// Words of the status buffer: the smallest element for which a fault was seen.
LOSSC_FN void flag(unsigned* status, int word, index element) { atomic_min(status + word, unsigned(element)); }
LOSSC_FN void flag_non_finite(unsigned* status, int word, index element, float v) {
  if (v - v != 0.0f) flag(status, word, element);
}
// The index in memory of the token's row: rows lie in the order of the tokens that are visited, unless `rows` has their places. Negative: no row.
LOSSC_FN index place_of(const int* rows, index t, index first) { return rows ? load(rows, t) : t - first; }
// An index outside the row is flagged and replaced by the first entry, so that nothing out of range is read.
LOSSC_FN index load_index(const int* indices, index t, index vocab, unsigned* status) {
  const index named = load(indices, t);
  if (named >= 0 && named < vocab) return named;
  flag(status, kIndexFault, t);
  return 0;
}

// ---- values per row ----

// then() where the condition holds, else `otherwise`.
template <class V, class Then> LOSSC_FN V when(bool condition, V otherwise, const Then& then) {
  if (condition) otherwise = then();
  return otherwise;
}
// A value per token as an entry of its row.
template <class Entry, class X> LOSSC_FN auto as_entry(Entry, X x) { return splat<Entry>(x); }

// Writes the row's gradient, or zeros where the gradient is known to be 0.
template <class Team, class T, class Map, class Mend, class... Rows>
LOSSC_FN void store_gradient(const Team& team, T* out, index place, index t, index vocab, index named, unsigned* status, bool zero,
                             const Map& map, const Mend& mend, const Rows&... rows) {
  if (zero) fill_row(team, out, place, vocab, 0.0f);
  else if (!store_row(team, out, place, vocab, named, map, mend, rows...)) flag(status, kTokenFault, t);
}

// ---- elementwise functions that are arithmetic ----

LOSSC_FN float number(index i) { return float(i); }

// In float64 and rounded once: a second rounding would show in every ratio of probabilities. The rounding of exponent_ can make the sum less than 1,
// the term of the maximum; the logprob is clamped to 0 then.
LOSSC_FN float logprob_(float z, float m, float s) {
  const double l = (double(z) - double(m)) - (log_(double(s)) - excess_(m));
  return l > 0.0 ? 0.0f : float(l);
}
LOSSC_FN bool is_finite_(float x) { return x - x == 0.0f; }
LOSSC_FN float sign_(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }
LOSSC_FN float clamp_(float x, float low, float high) { return min_(max_(x, low), high); }
LOSSC_FN float sigmoid_(float x) { return 1.0f / (1.0f + exp_(-x)); }
LOSSC_FN float softplus_(float x) { return max_(x, 0.0f) + log1p_(exp_(-abs_(x))); }
LOSSC_FN float log_sigmoid_(float x) { return -softplus_(-x); }
LOSSC_FN float log1mexp_(float x) { return x > -0.693147181f ? log_(-expm1_(x)) : log1p_(-exp_(x)); }
// A product in vocab space: a factor that is exactly 0 makes it 0.
template <class A, class B> LOSSC_FN auto mul_no_nan_(A a, B b) { return select(a == 0.0f, a, select(b == 0.0f, b, a * b)); }
// An adjoint that is exactly 0 stays 0, whatever the derivative is.
template <class G, class T> LOSSC_FN auto mul_adjoint_(G g, T d) { return select(g == 0.0f, g, g * d); }

}  // namespace lossc
