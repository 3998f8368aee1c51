// lossc, cuda: the kernels of "ppo_tis", 1 sweep and 0 steps.
// They read weights (f32), logits (bf16), target_tokens (i32), old_logprobs (f32), logprobs (f32), advantages (f32).
// They give status (u32), gradient of logits (bf16), logprobs (f32), loss (f64).
// A token moves 4 bytes per entry of its row and 28 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 1 of "ppo_tis", one row of logits per token.
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
    const float* p4;  // old_logprobs
    const float* p5;  // logprobs
    double c0;        // tis_cap
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
    const auto x1 = load(a.p4, t);
    const auto x2 = load(a.p5, t);
    const auto x3 = float(a.c0);
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
    const auto v13 = min_(exp_(x1 - x2), x3);
    const auto v14 = logprob_(r7, r11, r12);
    const auto v15 = exp_(v14 - x1);
    const auto v16 = v15 * x4;
    const auto v17 = clamp_(v15, x5, x6) * x4;
    const auto v18 = select(x0 != 0.0f, -(x0 * (v13 * min_(v16, v17))), 0.0f);
    put(team, a.p8, t, v18);
    put(team, a.p9, t, v14);
    flag_non_finite(a.p3, 1, t, v18);
    const auto v19 = mul_adjoint_(-x0, v13);
    const auto v20 = mul_adjoint_(select(v16 == v17, v19 * 0.5f, v19), x4);
    const auto v21 = select((v15 >= x5) & (v15 <= x6), select(v17 > v16, 0.0f, v20), 0.0f) + select(v16 > v17, 0.0f, v20);
    const auto v22 = mul_adjoint_(v21, v15);
    const auto v23 = 1.0f / r12;
    const auto v24 = -v22 * v23;
    store_gradient(team, a.p7, place, t, a.vocab, named, a.p3, either(!reads, v22 == 0.0f),
                   [&](auto e) { return v24 * e; },
                   [&](auto e) { return v22 * (1.0f - (e * v23)); },
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
