// lossc, cuda: the kernels of "a clipped ratio per sequence", 2 sweeps and 1 step.
// They read weights (f32), logits (bf16), target_tokens (i32), logprobs (f32), advantages (f32).
// They give status (u32), logprobs (f32), loss (f64), gradient of logits (bf16).
// A token moves 6 bytes per entry of its row and 56 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 2 of "a clipped ratio per sequence", one row of logits per token.
// It folds the row in 2 phases, folds 2 values per token.
// Traffic per token: 2 bytes per entry of its row and 36 more.
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
    float* p5;        // a value per token
    float* p6;        // a value per token
    float* p7;        // logprobs
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
      const auto sums = fold_part<Sum>(team, [&](auto z) { return summands(exp2_(exponent_(z, m3))); }, row);
      return merge_partials<Scaled<0>>(team, maxima, sums);
    });
    const auto r6 = f5.v[0];  // max over the row
    const auto r7 = f5.v[1];  // sum over the row
    const auto b8 = x0 != 0.0f;
    put(team, a.p5, t, select(b8, 1.0f, 0.0f));
    const auto v9 = logprob_(r2, r6, r7);
    put(team, a.p6, t, select(b8, v9 - x1, 0.0f));
    put(team, a.p7, t, v9);
    put(team, a.p8, t, r6);
    put(team, a.p9, t, r7);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Runs{a.sequences, a.p13, a.p14, a.p15}, first, count, a.p5, a.p10, a.p11, a.p12);
    fold_tail<Sum>(team, Runs{a.sequences, a.p13, a.p14, a.p15}, first, count, a.p6, a.p16, a.p17, a.p18);
  }
};

// k1: a step of "a clipped ratio per sequence", one sequence at a time.
// It folds 1 value per sequence.
struct K1 {
  struct Args {
    index first;        // sequences from here on
    index last;         // up to, and without, this one
    const float* p19;   // advantages
    double c0;          // clip_low_threshold
    double c1;          // clip_high_threshold
    float* p20;         // a value per sequence
    const double* p12;  // a sum per sequence
    const double* p18;  // a sum per sequence
    unsigned* p3;       // status
    index sequences;
    double* p21;        // a partial fold per chunk
    unsigned* p22;      // arrivals
    double* p23;        // loss
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const auto x0 = load(a.p19, i);
    const auto x1 = float(a.c0);
    const auto x2 = float(a.c1);
    const auto x3 = load(a.p12, i);
    const auto x4 = load(a.p18, i);
    const auto v5 = exp_(x4 / x3);
    const auto v6 = select(x3 > 0.0f, -min_(v5 * x0, clamp_(v5, x1, x2) * x0), 0.0f);
    store(a.p20, i, v6);
    flag_non_finite(a.p3, 2, i, v6);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.sequences}, first, count, a.p20, a.p21, a.p22, a.p23);
  }
};

// k2: sweep 2 of 2 of "a clipped ratio per sequence", one row of logits per token.
// It writes the gradient of logits.
// Traffic per token: 4 bytes per entry of its row and 20 more.
struct K2 {
  struct Args {
    index first;        // tokens from here on
    index last;         // up to, and without, this one
    const float* p0;    // weights, 1 where not given
    index skip;         // not 0: no row is read where weights is 0
    const int* rows;    // the row of each token; null: in the order of the tokens visited
    const bf16* p1;     // logits
    index vocab;        // entries of a row
    const int* p2;      // target_tokens
    unsigned* p3;       // status
    double c0;          // clip_low_threshold
    double c1;          // clip_high_threshold
    const float* p19;   // advantages
    const int* p13;     // the sequence of each token
    bf16* p24;          // gradient of logits
    const double* p18;  // a sum per sequence
    const double* p12;  // a sum per sequence
    const float* p9;    // a value per token
    const float* p8;    // a value per token
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p0, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p1, place, a.vocab);
    const auto named = load_index(a.p2, t, a.vocab, a.p3);
    const auto x1 = float(a.c0);
    const auto x2 = float(a.c1);
    const auto i3 = read(a.p13, t);
    const auto x4 = load(a.p19, i3);
    const auto x5 = load(a.p18, i3);
    const auto x6 = load(a.p12, i3);
    const auto v7 = exp_(x5 / x6);
    const auto v8 = clamp_(v7, x1, x2) * x4;
    const auto v9 = v7 * x4;
    const auto v10 = select(x6 > 0.0f, 1.0f, 0.0f);
    const auto v11 = mul_adjoint_(select(v9 == v8, -(v10 * 0.5f), -v10), x4);
    const auto v12 = select((v7 >= x1) & (v7 <= x2), select(v8 > v9, 0.0f, v11), 0.0f) + select(v9 > v8, 0.0f, v11);
    const auto v13 = mul_adjoint_(mul_adjoint_(v12, v7), 1.0f / x6);
    const auto b14 = x0 != 0.0f;
    const auto x15 = load(a.p9, t);
    const auto v16 = 1.0f / x15;
    const auto v17 = -v13 * v16;
    const auto x18 = load(a.p8, t);
    store_gradient(team, a.p24, place, t, a.vocab, named, a.p3, either(!reads, v13 == 0.0f),
                   [&](auto z) { return select(b14, v17 * exp2_(exponent_(z, x18)), 0.0f); },
                   [&](auto z) { return select(b14, v13 * (1.0f - (exp2_(exponent_(z, x18)) * v16)), 0.0f); },
                   row);
  }
  template <class Team> LOSSC_FN static void tails(const Args&, const Team&, index, index) {}
};

// ---- entry points ----
// k0: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 128, 128, 8, true, 2, 512)
LOSSC_STEP(k1, K1, 256)
// k2: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k2, K2, 128, 128, 8, true, 0, 512)

}  // namespace lossc
