// lossc, cuda: the kernels of "gspo", 2 sweeps and 0 steps.
// They read weights (f32), logits (bf16), target_tokens (i32), logprobs (f32), advantages (f32).
// They give logprobs (f32), status (u32), gradient of logits (bf16), loss (f64).
// A token moves 6 bytes per entry of its row and 68 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 2 of "gspo", one row of logits per token.
// It folds the row in 2 phases, folds 2 values per token.
// Traffic per token: 2 bytes per entry of its row and 36 more.
struct K0 {
  struct Args {
    index first;      // tokens from here on
    index last;       // up to, and without, this one
    const float* p1;  // weights, 1 where not given
    index skip;       // not 0: no row is read where weights is 0
    const int* rows;  // the row of each token; null: in the order of the tokens visited
    const bf16* p2;   // logits
    index vocab;      // entries of a row
    const int* p3;    // target_tokens
    unsigned* p4;     // status
    const float* p5;  // logprobs
    float* p6;        // a value per token
    float* p7;        // a value per token
    float* p0;        // logprobs
    float* p8;        // a value per token
    float* p9;        // a value per token
    index sequences;
    const int* p13;   // the sequence of each token
    const int* p14;   // the first token of each sequence
    const int* p15;   // the first chunk of each sequence
    double* p10;      // a partial fold per chunk
    unsigned* p11;    // arrivals
    double* p12;      // a sum per sequence
    double* p16;      // a partial fold per chunk
    unsigned* p17;    // arrivals
    double* p18;      // a sum per sequence
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p1, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p2, place, a.vocab);
    const auto named = load_index(a.p3, t, a.vocab, a.p4);
    const auto x1 = load(a.p5, t);
    const auto r2 = when(reads, 0.0f, [&] { return at(row, named); });  // logits at target_tokens
    const auto f5 = when(reads, values(0.0f, 1.0f), [&] {
      const auto m4 = fold_part<Max>(team, row);
      const auto maxima = values(m4.v[0]);
      const auto m3 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto z) { return summands(exp2_(exponent_(z, m3))); }, row);
      return merge_partials<Scaled<0>>(team, maxima, sums);
    });
    const auto r6 = f5.v[0];  // max over the row
    const auto r7 = f5.v[1];  // sum over the row
    const auto b8 = x0 != 0.0f;
    const auto v9 = logprob_(r2, r6, r7);
    put(team, a.p6, t, select(b8, v9 - x1, 0.0f));
    put(team, a.p7, t, select(b8, 1.0f, 0.0f));
    put(team, a.p0, t, v9);
    put(team, a.p8, t, r6);
    put(team, a.p9, t, r7);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Runs{a.sequences, a.p13, a.p14, a.p15}, first, count, a.p6, a.p10, a.p11, a.p12);
    fold_tail<Sum>(team, Runs{a.sequences, a.p13, a.p14, a.p15}, first, count, a.p7, a.p16, a.p17, a.p18);
  }
};

// k1: sweep 2 of 2 of "gspo", one row of logits per token.
// It writes the gradient of logits, folds 1 value per token.
// Traffic per token: 4 bytes per entry of its row and 32 more.
struct K1 {
  struct Args {
    index first;        // tokens from here on
    index last;         // up to, and without, this one
    const float* p1;    // weights, 1 where not given
    index skip;         // not 0: no row is read where weights is 0
    const int* rows;    // the row of each token; null: in the order of the tokens visited
    const bf16* p2;     // logits
    index vocab;        // entries of a row
    const int* p3;      // target_tokens
    unsigned* p4;       // status
    const float* p0;    // logprobs
    const float* p19;   // advantages
    double c0;          // clip_low_threshold
    double c1;          // clip_high_threshold
    float* p20;         // a value per token
    const double* p12;  // a sum per sequence
    const int* p13;     // the sequence of each token
    const double* p18;  // a sum per sequence
    bf16* p21;          // gradient of logits
    const float* p9;    // a value per token
    const float* p8;    // a value per token
    index tokens;
    double* p22;        // a partial fold per chunk
    unsigned* p23;      // arrivals
    double* p24;        // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p1, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p2, place, a.vocab);
    const auto named = load_index(a.p3, t, a.vocab, a.p4);
    const auto x1 = load(a.p0, t);
    const auto x2 = load(a.p19, t);
    const auto x3 = float(a.c0);
    const auto x4 = float(a.c1);
    const auto i5 = read(a.p13, t);
    const auto x6 = load(a.p12, i5);
    const auto x7 = load(a.p18, i5);
    const auto v8 = exp_((x1 - x1) + (x6 / x7));
    const auto v9 = v8 * x2;
    const auto v10 = clamp_(v8, x3, x4) * x2;
    const auto v11 = select(x0 != 0.0f, -(x0 * min_(v9, v10)), 0.0f);
    put(team, a.p20, t, v11);
    flag_non_finite(a.p4, 1, t, v11);
    const auto v12 = mul_adjoint_(select(v9 == v10, -(x0 * 0.5f), -x0), x2);
    const auto v13 = select((v8 >= x3) & (v8 <= x4), select(v10 > v9, 0.0f, v12), 0.0f) + select(v9 > v10, 0.0f, v12);
    const auto v14 = mul_adjoint_(v13, v8);
    const auto x15 = load(a.p9, t);
    const auto v16 = 1.0f / x15;
    const auto v17 = -v14 * v16;
    const auto x18 = load(a.p8, t);
    store_gradient(team, a.p21, place, t, a.vocab, named, a.p4, either(!reads, v14 == 0.0f),
                   [&](auto z) { return v17 * exp2_(exponent_(z, x18)); },
                   [&](auto z) { return v14 * (1.0f - (exp2_(exponent_(z, x18)) * v16)); },
                   row);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p20, a.p22, a.p23, a.p24);
  }
};

// ---- entry points ----
// k0: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 128, 128, 8, true, 2, 512)
// k1: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k1, K1, 128, 128, 8, true, 0, 512)

}  // namespace lossc
