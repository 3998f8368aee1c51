// Elementwise functions of packets: what libm has only for one number is called lane by lane.

#define LOSSC_LANES(name)                                        \
  LOSSC_FN Packet name(Packet x) {                               \
    for (int l = 0; l < kLanes; ++l) x[l] = name(x[l]);          \
    return x;                                                    \
  }
LOSSC_LANES(log1p_)
LOSSC_LANES(expm1_)
LOSSC_LANES(sqrt_)
LOSSC_LANES(tanh_)
LOSSC_LANES(floor_)
LOSSC_LANES(abs_)
LOSSC_LANES(sign_)
LOSSC_LANES(sigmoid_)
LOSSC_LANES(softplus_)
LOSSC_LANES(log_sigmoid_)
LOSSC_LANES(log1mexp_)

LOSSC_FN Packet pow_(Packet x, Packet y) {
  for (int l = 0; l < kLanes; ++l) x[l] = pow_(x[l], y[l]);
  return x;
}
LOSSC_FN Packet pow_(Packet x, float y) { return pow_(x, broadcast(y)); }
LOSSC_FN Packet pow_(float x, Packet y) { return pow_(broadcast(x), y); }
LOSSC_FN Packet max_(Packet a, float b) { return max_(a, broadcast(b)); }
LOSSC_FN Packet max_(float a, Packet b) { return max_(broadcast(a), b); }
LOSSC_FN Packet min_(Packet a, float b) { return min_(a, broadcast(b)); }
LOSSC_FN Packet min_(float a, Packet b) { return min_(broadcast(a), b); }
template <class X, class L, class H> LOSSC_FN auto clamp_(X x, L low, H high) { return min_(max_(x, low), high); }
LOSSC_FN Mask is_finite_(Packet x) { return x - x == 0.0f; }
