// lossc, cuda: the kernels of "ppo_entropy", 1 sweep and 0 steps.
// They read weights (f32), logits (bf16), target_tokens (i32), logprobs (f32), advantages (f32).
// They give status (u32), logprobs (f32), gradient of logits (bf16), loss (f64).
// A token moves 4 bytes per entry of its row and 24 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 1 of "ppo_entropy", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of logits, folds 1 value per token.
// Traffic per token: 4 bytes per entry of its row and 24 more.
struct K0 {
  struct Args {
    index first;      // tokens from here on
    index last;       // up to, and without, this one
    const float* p0;  // weights, 1 where not given
    index skip;       // not 0: no row is read where weights is 0
    const int* rows;  // the row of each token; null: in the order of the tokens visited
    const bf16* p1;   // logits
    index vocab;      // entries of a row
    const int* p2;    // target_tokens
    unsigned* p3;     // status
    const float* p4;  // logprobs
    const float* p5;  // advantages
    double c0;        // clip_low_threshold
    double c1;        // clip_high_threshold
    double c2;        // entropy_coefficient
    float* p6;        // a value per token
    float* p7;        // logprobs
    bf16* p8;         // gradient of logits
    index tokens;
    double* p9;       // a partial fold per chunk
    unsigned* p10;    // arrivals
    double* p11;      // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p0, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p1, place, a.vocab);
    const auto named = load_index(a.p2, t, a.vocab, a.p3);
    const auto x1 = load(a.p4, t);
    const auto x2 = load(a.p5, t);
    const auto x3 = float(a.c0);
    const auto x4 = float(a.c1);
    const auto x5 = float(a.c2);
    const auto r6 = when(reads, 0.0f, [&] { return at(row, named); });  // logits at target_tokens
    const auto f11 = when(reads, values(0.0f, 1.0f, 1.0f), [&] {
      const auto m8 = fold_part<Max>(team, row);
      const auto maxima = values(m8.v[0]);
      const auto m7 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum, Sum>(team, [&](auto z) {
        const auto v9 = exponent_(z, m7);
        const auto v10 = exp2_(v9);
        return summands(v10, product_where((v10 != 0.0f), v9, v10));
      }, row);
      return merge_partials<Scaled<0>, Shifted<0, 0, Exponent<0>>>(team, maxima, sums);
    });
    const auto r12 = f11.v[0];  // max over the row
    const auto r13 = f11.v[1];  // sum over the row
    const auto r14 = f11.v[2];  // sum over the row
    const auto v15 = logprob_(r6, r12, r13);
    const auto v16 = exp_(v15 - x1);
    const auto v17 = v16 * x2;
    const auto v18 = clamp_(v16, x3, x4) * x2;
    const auto v19 = 1.0f / r13;
    const auto v20 = log_(r13);
    const auto v21 = mul_no_nan_(r13, mul_no_nan_(v19, v20)) - mul_no_nan_(r14, mul_no_nan_(0.6931472f, v19));
    const auto v22 = select(x0 != 0.0f, x0 * ((-min_(v17, v18)) - (x5 * v21)), 0.0f);
    put(team, a.p6, t, v22);
    put(team, a.p7, t, v15);
    flag_non_finite(a.p3, 1, t, v22);
    const auto v23 = -x0;
    const auto v24 = mul_adjoint_(v23, x5);
    const auto v25 = mul_no_nan_(v24, v19);
    const auto v26 = mul_no_nan_(r13, v25);
    const auto v27 = mul_no_nan_(v25, mul_no_nan_(0.6931472f, r14) - mul_no_nan_(r13, v20));
    const auto v28 = mul_adjoint_(select(v17 == v18, -(x0 * 0.5f), v23), x2);
    const auto v29 = select((v16 >= x3) & (v16 <= x4), select(v18 > v17, 0.0f, v28), 0.0f) + select(v17 > v18, 0.0f, v28);
    const auto v30 = mul_adjoint_(v29, v16);
    const auto v31 = (mul_no_nan_(v26, v19) - v25) + mul_no_nan_(v19, v27 + mul_no_nan_(v24, v20));
    const auto v32 = v31 + mul_adjoint_(-v30, v19);
    const auto v33 = -mul_no_nan_(v19, mul_no_nan_(v24, 0.6931472f));
    store_gradient(team, a.p8, place, t, a.vocab, named, a.p3, either(!reads, (v26 == 0.0f) & (v24 == 0.0f) & (v27 == 0.0f) & (v30 == 0.0f)),
                   [&](auto z) {
                     const auto v34 = exponent_(z, r12);
                     return plus_product(v32, true, v33, max_(v34, -2000.0f)) * exp2_(v34);
                   },
                   [&](auto z) {
                     const auto v35 = exponent_(z, r12);
                     const auto v36 = exp2_(v35) * v19;
                     const auto v37 = (mul_no_nan_(v26, v36) - mul_no_nan_(v24, v36)) + mul_no_nan_(v36, v27 - mul_no_nan_(v24, (0.6931472f * v35) - v20));
                     return v37 + mul_adjoint_(v30, 1.0f - v36);
                   },
                   row);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p6, a.p9, a.p10, a.p11);
  }
};

// ---- entry points ----
// k0: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 128, 128, 8, true, 3, 512)

}  // namespace lossc
