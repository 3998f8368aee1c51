// lossc, cuda: the kernels of "ppo_dual_clip", 1 sweep and 0 steps.
// They read weights (f32), logits (bf16), target_tokens (i32), advantages (f32), logprobs (f32).
// They give status (u32), gradient of logits (bf16), logprobs (f32), loss (f64).
// A token moves 4 bytes per entry of its row and 24 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 1 of "ppo_dual_clip", one row of logits per token.
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
    const float* p4;  // advantages
    const float* p5;  // logprobs
    double c0;        // clip_low_threshold
    double c1;        // clip_high_threshold
    double c2;        // dual_clip
    bf16* p6;         // gradient of logits
    float* p7;        // a value per token
    float* p8;        // logprobs
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
    const auto f9 = when(reads, values(0.0f, 1.0f), [&] {
      const auto m8 = fold_part<Max>(team, row);
      const auto maxima = values(m8.v[0]);
      const auto m7 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto e) { return summands(e); }, cache_exp(a.p6, place, row, [&](auto z) { return exp2_(exponent_(z, m7)); }));
      return merge_partials<Scaled<0>>(team, maxima, sums);
    });
    const auto r10 = f9.v[0];  // max over the row
    const auto r11 = f9.v[1];  // sum over the row
    const auto b12 = x1 < 0.0f;
    const auto v13 = logprob_(r6, r10, r11);
    const auto v14 = exp_(v13 - x2);
    const auto v15 = v14 * x1;
    const auto v16 = clamp_(v14, x3, x4) * x1;
    const auto v17 = -min_(v15, v16);
    const auto v18 = -x5 * x1;
    const auto v19 = select(x0 != 0.0f, x0 * select(b12, min_(v17, v18), v17), 0.0f);
    put(team, a.p7, t, v19);
    put(team, a.p8, t, v13);
    flag_non_finite(a.p3, 1, t, v19);
    const auto v20 = select(b12, x0, 0.0f);
    const auto v21 = select(b12, 0.0f, x0) + select(v17 > v18, 0.0f, select(v17 == v18, v20 * 0.5f, v20));
    const auto v22 = mul_adjoint_(select(v15 == v16, -(v21 * 0.5f), -v21), x1);
    const auto v23 = select((v14 >= x3) & (v14 <= x4), select(v16 > v15, 0.0f, v22), 0.0f) + select(v15 > v16, 0.0f, v22);
    const auto v24 = mul_adjoint_(v23, v14);
    const auto v25 = 1.0f / r11;
    const auto v26 = -v24 * v25;
    store_gradient(team, a.p6, place, t, a.vocab, named, a.p3, either(!reads, v24 == 0.0f),
                   [&](auto e) { return v26 * e; },
                   [&](auto e) { return v24 * (1.0f - (e * v25)); },
                   cached_exp(a.p6, place, row, [&](auto z) { return exp2_(exponent_(z, r10)); }));
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p7, a.p9, a.p10, a.p11);
  }
};

// ---- entry points ----
// k0: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 128, 128, 8, true, 2, 512)

}  // namespace lossc
