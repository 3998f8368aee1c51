// lossc, cuda: the kernels of "gmpo", 2 sweeps and 1 step.
// They read weights (f32), logits (bf16), target_tokens (i32), advantages (f32), logprobs (f32).
// They give logprobs (f32), status (u32), loss (f64), gradient of logits (bf16).
// A token moves 6 bytes per entry of its row and 76 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 2 of "gmpo", one row of logits per token.
// It folds the row in 2 phases, folds 3 values per token.
// Traffic per token: 2 bytes per entry of its row and 44 more.
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
    const float* p5;  // advantages
    const float* p6;  // logprobs
    double c0;        // clip_low
    double c1;        // clip_high
    float* p7;        // a value per token
    float* p8;        // a value per token
    float* p9;        // a value per token
    float* p0;        // logprobs
    float* p10;       // a value per token
    float* p11;       // a value per token
    index sequences;
    const int* p15;   // the sequence of each token
    const int* p16;   // the first token of each sequence
    const int* p17;   // the first chunk of each sequence
    double* p12;      // a partial fold per chunk
    unsigned* p13;    // arrivals
    double* p14;      // a sum per sequence
    double* p18;      // a partial fold per chunk
    unsigned* p19;    // arrivals
    double* p20;      // a sum per sequence
    double* p21;      // a partial fold per chunk
    unsigned* p22;    // arrivals
    double* p23;      // a sum per sequence
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p1, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p2, place, a.vocab);
    const auto named = load_index(a.p3, t, a.vocab, a.p4);
    const auto x1 = load(a.p5, t);
    const auto x2 = load(a.p6, t);
    const auto x3 = float(a.c0);
    const auto x4 = float(a.c1);
    const auto r5 = when(reads, 0.0f, [&] { return at(row, named); });  // logits at target_tokens
    const auto f8 = when(reads, values(0.0f, 1.0f), [&] {
      const auto m7 = fold_part<Max>(team, row);
      const auto maxima = values(m7.v[0]);
      const auto m6 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto z) { return summands(exp2_(exponent_(z, m6))); }, row);
      return merge_partials<Scaled<0>>(team, maxima, sums);
    });
    const auto r9 = f8.v[0];  // max over the row
    const auto r10 = f8.v[1];  // sum over the row
    const auto b11 = x0 != 0.0f;
    put(team, a.p7, t, select(b11, 1.0f, 0.0f));
    put(team, a.p8, t, select(b11, x1, 0.0f));
    const auto v12 = sign_(x1);
    const auto v13 = logprob_(r5, r9, r10);
    const auto v14 = v13 - x2;
    put(team, a.p9, t, select(b11, v12 * min_(v12 * v14, v12 * clamp_(v14, -x3, x4)), 0.0f));
    put(team, a.p0, t, v13);
    put(team, a.p10, t, r9);
    put(team, a.p11, t, r10);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Runs{a.sequences, a.p15, a.p16, a.p17}, first, count, a.p7, a.p12, a.p13, a.p14);
    fold_tail<Sum>(team, Runs{a.sequences, a.p15, a.p16, a.p17}, first, count, a.p8, a.p18, a.p19, a.p20);
    fold_tail<Sum>(team, Runs{a.sequences, a.p15, a.p16, a.p17}, first, count, a.p9, a.p21, a.p22, a.p23);
  }
};

// k1: a step of "gmpo", one sequence at a time.
// It folds 1 value per sequence.
struct K1 {
  struct Args {
    index first;        // sequences from here on
    index last;         // up to, and without, this one
    float* p24;         // a value per sequence
    const double* p14;  // a sum per sequence
    const double* p20;  // a sum per sequence
    const double* p23;  // a sum per sequence
    unsigned* p4;       // status
    index sequences;
    double* p25;        // a partial fold per chunk
    unsigned* p26;      // arrivals
    double* p27;        // loss
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const auto x0 = load(a.p14, i);
    const auto x1 = load(a.p20, i);
    const auto x2 = load(a.p23, i);
    const auto v3 = select(x0 > 0.0f, -((x1 / x0) * exp_(x2 / x0)), 0.0f);
    store(a.p24, i, v3);
    flag_non_finite(a.p4, 2, i, v3);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.sequences}, first, count, a.p24, a.p25, a.p26, a.p27);
  }
};

// k2: sweep 2 of 2 of "gmpo", one row of logits per token.
// It writes the gradient of logits.
// Traffic per token: 4 bytes per entry of its row and 32 more.
struct K2 {
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
    const float* p6;    // logprobs
    double c0;          // clip_low
    double c1;          // clip_high
    const float* p5;    // advantages
    bf16* p28;          // gradient of logits
    const double* p14;  // a sum per sequence
    const int* p15;     // the sequence of each token
    const double* p20;  // a sum per sequence
    const double* p23;  // a sum per sequence
    const float* p11;   // a value per token
    const float* p10;   // a value per token
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p1, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p2, place, a.vocab);
    const auto named = load_index(a.p3, t, a.vocab, a.p4);
    const auto x1 = load(a.p0, t);
    const auto x2 = load(a.p6, t);
    const auto x3 = float(a.c0);
    const auto x4 = float(a.c1);
    const auto x5 = load(a.p5, t);
    const auto v6 = x1 - x2;
    const auto v7 = -x3;
    const auto v8 = sign_(x5);
    const auto v9 = v8 * clamp_(v6, v7, x4);
    const auto v10 = v8 * v6;
    const auto i11 = read(a.p15, t);
    const auto x12 = load(a.p14, i11);
    const auto x13 = load(a.p20, i11);
    const auto x14 = load(a.p23, i11);
    const auto v15 = mul_adjoint_(mul_adjoint_(-select(x12 > 0.0f, 1.0f, 0.0f), x13 / x12), exp_(x14 / x12));
    const auto v16 = select(x0 != 0.0f, mul_adjoint_(mul_adjoint_(v15, 1.0f / x12), v8), 0.0f);
    const auto v17 = mul_adjoint_(select(v10 == v9, v16 * 0.5f, v16), v8);
    const auto v18 = select((v6 >= v7) & (v6 <= x4), select(v9 > v10, 0.0f, v17), 0.0f) + select(v10 > v9, 0.0f, v17);
    const auto x19 = load(a.p11, t);
    const auto v20 = 1.0f / x19;
    const auto v21 = -v18 * v20;
    const auto x22 = load(a.p10, t);
    store_gradient(team, a.p28, place, t, a.vocab, named, a.p4, either(!reads, v18 == 0.0f),
                   [&](auto z) { return v21 * exp2_(exponent_(z, x22)); },
                   [&](auto z) { return v18 * (1.0f - (exp2_(exponent_(z, x22)) * v20)); },
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
