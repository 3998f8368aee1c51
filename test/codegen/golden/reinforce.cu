// lossc, cuda: the kernels of "reinforce", 1 sweep and 0 steps.
// They read weights (f32), logits (bf16), target_tokens (i32), advantages (f32).
// They give status (u32), gradient of logits (bf16), logprobs (f32), loss (f64).
// A token moves 4 bytes per entry of its row and 20 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 1 of "reinforce", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of logits, folds 1 value per token.
// Traffic per token: 4 bytes per entry of its row and 20 more.
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
    bf16* p5;         // gradient of logits
    float* p6;        // a value per token
    float* p7;        // logprobs
    index tokens;
    double* p8;       // a partial fold per chunk
    unsigned* p9;     // arrivals
    double* p10;      // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p0, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p1, place, a.vocab);
    const auto named = load_index(a.p2, t, a.vocab, a.p3);
    const auto x1 = load(a.p4, t);
    const auto r2 = when(reads, 0.0f, [&] { return at(row, named); });  // logits at target_tokens
    const auto f5 = when(reads, values(0.0f, 1.0f), [&] {
      const auto m4 = fold_part<Max>(team, row);
      const auto maxima = values(m4.v[0]);
      const auto m3 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto e) { return summands(e); }, cache_exp(a.p5, place, row, [&](auto z) { return exp2_(exponent_(z, m3)); }));
      return merge_partials<Scaled<0>>(team, maxima, sums);
    });
    const auto r6 = f5.v[0];  // max over the row
    const auto r7 = f5.v[1];  // sum over the row
    const auto v8 = logprob_(r2, r6, r7);
    const auto v9 = select(x0 != 0.0f, -(x0 * (x1 * v8)), 0.0f);
    put(team, a.p6, t, v9);
    put(team, a.p7, t, v8);
    flag_non_finite(a.p3, 1, t, v9);
    const auto v10 = mul_adjoint_(-x0, x1);
    const auto v11 = 1.0f / r7;
    const auto v12 = -v10 * v11;
    store_gradient(team, a.p5, place, t, a.vocab, named, a.p3, either(!reads, v10 == 0.0f),
                   [&](auto e) { return v12 * e; },
                   [&](auto e) { return v10 * (1.0f - (e * v11)); },
                   cached_exp(a.p5, place, row, [&](auto z) { return exp2_(exponent_(z, r6)); }));
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p6, a.p8, a.p9, a.p10);
  }
};

// ---- entry points ----
// k0: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 128, 128, 8, true, 2, 512)

}  // namespace lossc
