// lossc, cuda: the kernels of "ppo", 0 sweeps and 1 step.
// They read weights (f32), policy_logprobs (f32), logprobs (f32), advantages (f32).
// They give gradient of policy_logprobs (f32), status (u32), loss (f64).
// A token moves 24 bytes.
// ---- prelude ----

// ---- kernels ----

// k0: a step of "ppo", one token at a time.
// It folds 1 value per token.
// Traffic per token: 24 bytes.
struct K0 {
  struct Args {
    index first;      // tokens from here on
    index last;       // up to, and without, this one
    const float* p0;  // weights, 1 where not given
    const float* p1;  // policy_logprobs
    const float* p2;  // logprobs
    const float* p3;  // advantages
    double c0;        // clip_low_threshold
    double c1;        // clip_high_threshold
    float* p4;        // a value per token
    float* p5;        // gradient of policy_logprobs
    unsigned* p6;     // status
    index tokens;
    double* p7;       // a partial fold per chunk
    unsigned* p8;     // arrivals
    double* p9;       // loss
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const auto x0 = load_or(a.p0, i, 1.0f);
    const auto x1 = load(a.p1, i);
    const auto x2 = load(a.p2, i);
    const auto x3 = load(a.p3, i);
    const auto x4 = float(a.c0);
    const auto x5 = float(a.c1);
    const auto v6 = exp_(x1 - x2);
    const auto v7 = v6 * x3;
    const auto v8 = clamp_(v6, x4, x5) * x3;
    const auto v9 = select(x0 != 0.0f, -(x0 * min_(v7, v8)), 0.0f);
    store(a.p4, i, v9);
    const auto v10 = mul_adjoint_(select(v7 == v8, -(x0 * 0.5f), -x0), x3);
    const auto v11 = select((v6 >= x4) & (v6 <= x5), select(v8 > v7, 0.0f, v10), 0.0f) + select(v7 > v8, 0.0f, v10);
    store(a.p5, i, mul_adjoint_(v11, v6));
    flag_non_finite(a.p6, 1, i, v9);
    flag_non_finite(a.p6, 1, i, mul_adjoint_(v11, v6));
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p4, a.p7, a.p8, a.p9);
  }
};

// ---- entry points ----
LOSSC_STEP(k0, K0, 256)

}  // namespace lossc
