// lossc, cuda: the kernels of "grpo", 1 sweep and 0 steps.
// They read weights (f32), logits (bf16), target_tokens (i32), reference_logprobs (f32), logprobs (f32), advantages (f32).
// They give status (u32), gradient of logits (bf16), logprobs (f32), loss (f64).
// A token moves 4 bytes per entry of its row and 28 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 1 of "grpo", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of logits, folds 1 value per token.
// Traffic per token: 4 bytes per entry of its row and 28 more.
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
    double c0;        // kl_beta
    const float* p4;  // reference_logprobs
    const float* p5;  // logprobs
    const float* p6;  // advantages
    double c1;        // clip_low_threshold
    double c2;        // clip_high_threshold
    bf16* p7;         // gradient of logits
    float* p8;        // a value per token
    float* p9;        // logprobs
    index tokens;
    double* p10;      // a partial fold per chunk
    unsigned* p11;    // arrivals
    double* p12;      // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p0, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p1, place, a.vocab);
    const auto named = load_index(a.p2, t, a.vocab, a.p3);
    const auto x1 = float(a.c0);
    const auto x2 = load(a.p4, t);
    const auto x3 = load(a.p5, t);
    const auto x4 = load(a.p6, t);
    const auto x5 = float(a.c1);
    const auto x6 = float(a.c2);
    const auto r7 = when(reads, 0.0f, [&] { return at(row, named); });  // logits at target_tokens
    const auto f10 = when(reads, values(0.0f, 1.0f), [&] {
      const auto m9 = fold_part<Max>(team, row);
      const auto maxima = values(m9.v[0]);
      const auto m8 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto e) { return summands(e); }, cache_exp(a.p7, place, row, [&](auto z) { return exp2_(exponent_(z, m8)); }));
      return merge_partials<Scaled<0>>(team, maxima, sums);
    });
    const auto r11 = f10.v[0];  // max over the row
    const auto r12 = f10.v[1];  // sum over the row
    const auto v13 = logprob_(r7, r11, r12);
    const auto v14 = x2 - v13;
    const auto v15 = exp_(v14);
    const auto v16 = exp_(v13 - x3);
    const auto v17 = v16 * x4;
    const auto v18 = clamp_(v16, x5, x6) * x4;
    const auto v19 = select(x0 != 0.0f, x0 * ((x1 * ((v15 - v14) - 1.0f)) - min_(v17, v18)), 0.0f);
    put(team, a.p8, t, v19);
    put(team, a.p9, t, v13);
    flag_non_finite(a.p3, 1, t, v19);
    const auto v20 = mul_adjoint_(x0, x1);
    const auto v21 = mul_adjoint_(select(v17 == v18, -(x0 * 0.5f), -x0), x4);
    const auto v22 = select((v16 >= x5) & (v16 <= x6), select(v18 > v17, 0.0f, v21), 0.0f) + select(v17 > v18, 0.0f, v21);
    const auto v23 = (v20 - mul_adjoint_(v20, v15)) + mul_adjoint_(v22, v16);
    const auto v24 = 1.0f / r12;
    const auto v25 = -v23 * v24;
    store_gradient(team, a.p7, place, t, a.vocab, named, a.p3, either(!reads, v23 == 0.0f),
                   [&](auto e) { return v25 * e; },
                   [&](auto e) { return v23 * (1.0f - (e * v24)); },
                   cached_exp(a.p7, place, row, [&](auto z) { return exp2_(exponent_(z, r11)); }));
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p8, a.p10, a.p11, a.p12);
  }
};

// ---- entry points ----
// k0: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 128, 128, 8, true, 2, 512)

}  // namespace lossc
