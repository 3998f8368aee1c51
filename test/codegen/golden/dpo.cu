// lossc, cuda: the kernels of "dpo", 2 sweeps and 2 steps.
// They read weights (f32), logits (bf16), target_tokens (i32), reference_logprobs (f32).
// They give status (u32), logprobs (f32), loss (f64), gradient of logits (bf16).
// A token moves 6 bytes per entry of its row and 56 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 2 of "dpo", one row of logits per token.
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
    const float* p4;  // reference_logprobs
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

// k1: a step of "dpo", one sequence at a time.
// It folds 4 values per sequence.
struct K1 {
  struct Args {
    index first;        // sequences from here on
    index last;         // up to, and without, this one
    const int* p19;     // the first sequence of each group
    const int* p20;     // the group of each sequence
    float* p21;         // a value per sequence
    const double* p12;  // a sum per sequence
    float* p22;         // a value per sequence
    float* p23;         // a value per sequence
    const double* p18;  // a sum per sequence
    float* p24;         // a value per sequence
    index groups;
    const int* p28;     // the first chunk of each group
    double* p25;        // a partial fold per chunk
    unsigned* p26;      // arrivals
    double* p27;        // a sum per group
    double* p29;        // a partial fold per chunk
    unsigned* p30;      // arrivals
    double* p31;        // a sum per group
    double* p32;        // a partial fold per chunk
    unsigned* p33;      // arrivals
    double* p34;        // a sum per group
    double* p35;        // a partial fold per chunk
    unsigned* p36;      // arrivals
    double* p37;        // a sum per group
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const auto i0 = read(a.p20, i);
    const auto x1 = number(i - read(a.p19, i0));
    const auto b2 = x1 == 0.0f;
    const auto x3 = load(a.p12, i);
    const auto v4 = select(x3 > 0.0f, 1.0f, 0.0f);
    store(a.p21, i, select(b2, v4, 0.0f));
    const auto b5 = x1 == 1.0f;
    store(a.p22, i, select(b5, v4, 0.0f));
    const auto x6 = load(a.p18, i);
    store(a.p23, i, select(b2, x6, 0.0f));
    store(a.p24, i, select(b5, x6, 0.0f));
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Runs{a.groups, a.p20, a.p19, a.p28}, first, count, a.p21, a.p25, a.p26, a.p27);
    fold_tail<Sum>(team, Runs{a.groups, a.p20, a.p19, a.p28}, first, count, a.p22, a.p29, a.p30, a.p31);
    fold_tail<Sum>(team, Runs{a.groups, a.p20, a.p19, a.p28}, first, count, a.p23, a.p32, a.p33, a.p34);
    fold_tail<Sum>(team, Runs{a.groups, a.p20, a.p19, a.p28}, first, count, a.p24, a.p35, a.p36, a.p37);
  }
};

// k2: a step of "dpo", one group at a time.
// It folds 1 value per group.
struct K2 {
  struct Args {
    index first;        // groups from here on
    index last;         // up to, and without, this one
    double c0;          // label_smoothing
    double c1;          // beta
    float* p38;         // a value per group
    const double* p27;  // a sum per group
    const double* p31;  // a sum per group
    const double* p34;  // a sum per group
    const double* p37;  // a sum per group
    unsigned* p3;       // status
    index groups;
    double* p39;        // a partial fold per chunk
    unsigned* p40;      // arrivals
    double* p41;        // loss
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const auto x0 = float(a.c0);
    const auto x1 = float(a.c1);
    const auto x2 = load(a.p27, i);
    const auto x3 = load(a.p31, i);
    const auto x4 = load(a.p34, i);
    const auto x5 = load(a.p37, i);
    const auto v6 = x1 * (x4 - x5);
    const auto v7 = select((x2 > 0.0f) & (x3 > 0.0f), ((x0 - 1.0f) * log_sigmoid_(v6)) - (x0 * log_sigmoid_(-v6)), 0.0f);
    store(a.p38, i, v7);
    flag_non_finite(a.p3, 3, i, v7);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.groups}, first, count, a.p38, a.p39, a.p40, a.p41);
  }
};

// k3: sweep 2 of 2 of "dpo", one row of logits per token.
// It writes the gradient of logits.
// Traffic per token: 4 bytes per entry of its row and 20 more.
struct K3 {
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
    const int* p19;     // the first sequence of each group
    const int* p13;     // the sequence of each token
    const int* p20;     // the group of each sequence
    double c0;          // label_smoothing
    double c1;          // beta
    bf16* p42;          // gradient of logits
    const double* p27;  // a sum per group
    const double* p31;  // a sum per group
    const double* p34;  // a sum per group
    const double* p37;  // a sum per group
    const float* p9;    // a value per token
    const float* p8;    // a value per token
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p0, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p1, place, a.vocab);
    const auto named = load_index(a.p2, t, a.vocab, a.p3);
    const auto i1 = read(a.p13, t);
    const auto i2 = read(a.p20, i1);
    const auto x3 = number(i1 - read(a.p19, i2));
    const auto x4 = float(a.c0);
    const auto x5 = float(a.c1);
    const auto x6 = load(a.p27, i2);
    const auto x7 = load(a.p31, i2);
    const auto b8 = (x6 > 0.0f) & (x7 > 0.0f);
    const auto x9 = load(a.p34, i2);
    const auto x10 = load(a.p37, i2);
    const auto v11 = x5 * (x9 - x10);
    const auto v12 = select(b8, mul_adjoint_(x4 - 1.0f, sigmoid_(-v11)), 0.0f) - mul_adjoint_(mul_adjoint_(-select(b8, 1.0f, 0.0f), x4), sigmoid_(v11));
    const auto v13 = mul_adjoint_(v12, x5);
    const auto v14 = select(x3 == 1.0f, -v13, 0.0f) + select(x3 == 0.0f, v13, 0.0f);
    const auto b15 = x0 != 0.0f;
    const auto x16 = load(a.p9, t);
    const auto v17 = 1.0f / x16;
    const auto v18 = -v14 * v17;
    const auto x19 = load(a.p8, t);
    store_gradient(team, a.p42, place, t, a.vocab, named, a.p3, either(!reads, v14 == 0.0f),
                   [&](auto z) { return select(b15, v18 * exp2_(exponent_(z, x19)), 0.0f); },
                   [&](auto z) { return select(b15, v14 * (1.0f - (exp2_(exponent_(z, x19)) * v17)), 0.0f); },
                   row);
  }
  template <class Team> LOSSC_FN static void tails(const Args&, const Team&, index, index) {}
};

// ---- entry points ----
// k0: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 128, 128, 8, true, 2, 512)
LOSSC_STEP(k1, K1, 256)
LOSSC_STEP(k2, K2, 256)
// k3: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k3, K3, 128, 128, 8, true, 0, 512)

}  // namespace lossc
