// lossc, cuda: the kernels of "simpo", 2 sweeps and 2 steps.
// They read weights (f32), logits (bf16), target_tokens (i32).
// They give status (u32), logprobs (f32), loss (f64), gradient of logits (bf16).
// A token moves 6 bytes per entry of its row and 52 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 2 of "simpo", one row of logits per token.
// It folds the row in 2 phases, folds 2 values per token.
// Traffic per token: 2 bytes per entry of its row and 32 more.
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
    float* p4;        // a value per token
    float* p5;        // a value per token
    float* p6;        // logprobs
    float* p7;        // a value per token
    float* p8;        // a value per token
    index sequences;
    const int* p12;   // the sequence of each token
    const int* p13;   // the first token of each sequence
    const int* p14;   // the first chunk of each sequence
    double* p9;       // a partial fold per chunk
    unsigned* p10;    // arrivals
    double* p11;      // a sum per sequence
    double* p15;      // a partial fold per chunk
    unsigned* p16;    // arrivals
    double* p17;      // a sum per sequence
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p0, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p1, place, a.vocab);
    const auto named = load_index(a.p2, t, a.vocab, a.p3);
    const auto r1 = when(reads, 0.0f, [&] { return at(row, named); });  // logits at target_tokens
    const auto f4 = when(reads, values(0.0f, 1.0f), [&] {
      const auto m3 = fold_part<Max>(team, row);
      const auto maxima = values(m3.v[0]);
      const auto m2 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto z) { return summands(exp2_(exponent_(z, m2))); }, row);
      return merge_partials<Scaled<0>>(team, maxima, sums);
    });
    const auto r5 = f4.v[0];  // max over the row
    const auto r6 = f4.v[1];  // sum over the row
    const auto b7 = x0 != 0.0f;
    put(team, a.p4, t, select(b7, 1.0f, 0.0f));
    const auto v8 = logprob_(r1, r5, r6);
    put(team, a.p5, t, select(b7, v8, 0.0f));
    put(team, a.p6, t, v8);
    put(team, a.p7, t, r5);
    put(team, a.p8, t, r6);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Runs{a.sequences, a.p12, a.p13, a.p14}, first, count, a.p4, a.p9, a.p10, a.p11);
    fold_tail<Sum>(team, Runs{a.sequences, a.p12, a.p13, a.p14}, first, count, a.p5, a.p15, a.p16, a.p17);
  }
};

// k1: a step of "simpo", one sequence at a time.
// It folds 4 values per sequence.
struct K1 {
  struct Args {
    index first;        // sequences from here on
    index last;         // up to, and without, this one
    const int* p18;     // the first sequence of each group
    const int* p19;     // the group of each sequence
    float* p20;         // a value per sequence
    const double* p11;  // a sum per sequence
    float* p21;         // a value per sequence
    float* p22;         // a value per sequence
    const double* p17;  // a sum per sequence
    float* p23;         // a value per sequence
    index groups;
    const int* p27;     // the first chunk of each group
    double* p24;        // a partial fold per chunk
    unsigned* p25;      // arrivals
    double* p26;        // a sum per group
    double* p28;        // a partial fold per chunk
    unsigned* p29;      // arrivals
    double* p30;        // a sum per group
    double* p31;        // a partial fold per chunk
    unsigned* p32;      // arrivals
    double* p33;        // a sum per group
    double* p34;        // a partial fold per chunk
    unsigned* p35;      // arrivals
    double* p36;        // a sum per group
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const auto i0 = read(a.p19, i);
    const auto x1 = number(i - read(a.p18, i0));
    const auto b2 = x1 == 0.0f;
    const auto x3 = load(a.p11, i);
    const auto v4 = select(x3 > 0.0f, 1.0f, 0.0f);
    store(a.p20, i, select(b2, v4, 0.0f));
    const auto b5 = x1 == 1.0f;
    store(a.p21, i, select(b5, v4, 0.0f));
    const auto x6 = load(a.p17, i);
    const auto v7 = x6 / x3;
    store(a.p22, i, select(b2, v7, 0.0f));
    store(a.p23, i, select(b5, v7, 0.0f));
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Runs{a.groups, a.p19, a.p18, a.p27}, first, count, a.p20, a.p24, a.p25, a.p26);
    fold_tail<Sum>(team, Runs{a.groups, a.p19, a.p18, a.p27}, first, count, a.p21, a.p28, a.p29, a.p30);
    fold_tail<Sum>(team, Runs{a.groups, a.p19, a.p18, a.p27}, first, count, a.p22, a.p31, a.p32, a.p33);
    fold_tail<Sum>(team, Runs{a.groups, a.p19, a.p18, a.p27}, first, count, a.p23, a.p34, a.p35, a.p36);
  }
};

// k2: a step of "simpo", one group at a time.
// It folds 1 value per group.
struct K2 {
  struct Args {
    index first;        // groups from here on
    index last;         // up to, and without, this one
    double c0;          // beta
    double c1;          // gamma
    float* p37;         // a value per group
    const double* p26;  // a sum per group
    const double* p30;  // a sum per group
    const double* p33;  // a sum per group
    const double* p36;  // a sum per group
    unsigned* p3;       // status
    index groups;
    double* p38;        // a partial fold per chunk
    unsigned* p39;      // arrivals
    double* p40;        // loss
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const auto x0 = float(a.c0);
    const auto x1 = float(a.c1);
    const auto x2 = load(a.p26, i);
    const auto x3 = load(a.p30, i);
    const auto x4 = load(a.p33, i);
    const auto x5 = load(a.p36, i);
    const auto v6 = select((x2 > 0.0f) & (x3 > 0.0f), -log_sigmoid_((x0 * (x4 - x5)) - x1), 0.0f);
    store(a.p37, i, v6);
    flag_non_finite(a.p3, 3, i, v6);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.groups}, first, count, a.p37, a.p38, a.p39, a.p40);
  }
};

// k3: sweep 2 of 2 of "simpo", one row of logits per token.
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
    const int* p18;     // the first sequence of each group
    const int* p12;     // the sequence of each token
    const int* p19;     // the group of each sequence
    double c0;          // gamma
    double c1;          // beta
    bf16* p41;          // gradient of logits
    const double* p26;  // a sum per group
    const double* p30;  // a sum per group
    const double* p33;  // a sum per group
    const double* p36;  // a sum per group
    const double* p11;  // a sum per sequence
    const float* p8;    // a value per token
    const float* p7;    // a value per token
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p0, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p1, place, a.vocab);
    const auto named = load_index(a.p2, t, a.vocab, a.p3);
    const auto i1 = read(a.p12, t);
    const auto i2 = read(a.p19, i1);
    const auto x3 = number(i1 - read(a.p18, i2));
    const auto x4 = float(a.c0);
    const auto x5 = float(a.c1);
    const auto x6 = load(a.p26, i2);
    const auto x7 = load(a.p30, i2);
    const auto x8 = load(a.p33, i2);
    const auto x9 = load(a.p36, i2);
    const auto v10 = mul_adjoint_(-select((x6 > 0.0f) & (x7 > 0.0f), 1.0f, 0.0f), sigmoid_(x4 - (x5 * (x8 - x9))));
    const auto v11 = mul_adjoint_(v10, x5);
    const auto x12 = load(a.p11, i1);
    const auto v13 = mul_adjoint_(select(x3 == 1.0f, -v11, 0.0f) + select(x3 == 0.0f, v11, 0.0f), 1.0f / x12);
    const auto b14 = x0 != 0.0f;
    const auto x15 = load(a.p8, t);
    const auto v16 = 1.0f / x15;
    const auto v17 = -v13 * v16;
    const auto x18 = load(a.p7, t);
    store_gradient(team, a.p41, place, t, a.vocab, named, a.p3, either(!reads, v13 == 0.0f),
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
LOSSC_STEP(k2, K2, 256)
// k3: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k3, K3, 128, 128, 8, true, 0, 512)

}  // namespace lossc
