// lossc, cuda: the kernels of "kto", 2 sweeps and 2 steps.
// They read weights (f32), logits (bf16), target_tokens (i32), reference_logprobs (f32), desirable (f32).
// They give status (u32), logprobs (f32), loss (f64), gradient of logits (bf16).
// A token moves 6 bytes per entry of its row and 56 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 2 of "kto", one row of logits per token.
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

// k1: a step of "kto", one sequence at a time.
// It folds 2 values per sequence.
struct K1 {
  struct Args {
    index first;        // sequences from here on
    index last;         // up to, and without, this one
    float* p19;         // a value per sequence
    const double* p12;  // a sum per sequence
    const double* p18;  // a sum per sequence
    float* p20;         // a value per sequence
    index sequences;
    double* p21;        // a partial fold per chunk
    unsigned* p22;      // arrivals
    double* p23;        // a sum per batch
    double* p24;        // a partial fold per chunk
    unsigned* p25;      // arrivals
    double* p26;        // a sum per batch
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const auto x0 = load(a.p12, i);
    const auto b1 = x0 > 0.0f;
    const auto x2 = load(a.p18, i);
    store(a.p19, i, select(b1, x2, 0.0f));
    store(a.p20, i, select(b1, 1.0f, 0.0f));
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.sequences}, first, count, a.p19, a.p21, a.p22, a.p23);
    fold_tail<Sum>(team, Whole{a.sequences}, first, count, a.p20, a.p24, a.p25, a.p26);
  }
};

// k2: a step of "kto", one sequence at a time.
// It folds 1 value per sequence.
struct K2 {
  struct Args {
    index first;        // sequences from here on
    index last;         // up to, and without, this one
    const float* p27;   // desirable
    double c0;          // desirable_weight
    double c1;          // beta
    double c2;          // undesirable_weight
    float* p28;         // a value per sequence
    const double* p12;  // a sum per sequence
    const double* p18;  // a sum per sequence
    const double* p23;  // a sum per batch
    const double* p26;  // a sum per batch
    unsigned* p3;       // status
    index sequences;
    double* p29;        // a partial fold per chunk
    unsigned* p30;      // arrivals
    double* p31;        // loss
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const auto x0 = load(a.p27, i);
    const auto x1 = float(a.c0);
    const auto x2 = float(a.c1);
    const auto x3 = float(a.c2);
    const auto x4 = load(a.p12, i);
    const auto x5 = load(a.p18, i);
    const auto x6 = load(a.p23, 0);
    const auto x7 = load(a.p26, 0);
    const auto v8 = max_(0.0f, x6 / x7);
    const auto v9 = select(x0 > 0.0f, x1 * (1.0f - sigmoid_(x2 * (x5 - v8))), x3 * (1.0f - sigmoid_(x2 * (v8 - x5))));
    const auto v10 = select(x4 > 0.0f, v9, 0.0f);
    store(a.p28, i, v10);
    flag_non_finite(a.p3, 2, i, v10);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.sequences}, first, count, a.p28, a.p29, a.p30, a.p31);
  }
};

// k3: sweep 2 of 2 of "kto", one row of logits per token.
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
    const float* p27;   // desirable
    const int* p13;     // the sequence of each token
    double c0;          // desirable_weight
    double c1;          // beta
    double c2;          // undesirable_weight
    bf16* p32;          // gradient of logits
    const double* p12;  // a sum per sequence
    const double* p18;  // a sum per sequence
    const double* p23;  // a sum per batch
    const double* p26;  // a sum per batch
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
    const auto x2 = load(a.p27, i1);
    const auto x3 = float(a.c0);
    const auto x4 = float(a.c1);
    const auto x5 = float(a.c2);
    const auto b6 = x2 > 0.0f;
    const auto x7 = load(a.p12, i1);
    const auto b8 = x7 > 0.0f;
    const auto x9 = load(a.p18, i1);
    const auto x10 = load(a.p23, 0);
    const auto x11 = load(a.p26, 0);
    const auto v12 = max_(0.0f, x10 / x11);
    const auto v13 = x4 * (x9 - v12);
    const auto v14 = mul_adjoint_(-select(b6, select(b8, x3, 0.0f), 0.0f), sigmoid_(v13) * sigmoid_(-v13));
    const auto v15 = mul_adjoint_(v14, x4);
    const auto v16 = x4 * (v12 - x9);
    const auto v17 = mul_adjoint_(-select(b6, 0.0f, select(b8, x5, 0.0f)), sigmoid_(v16) * sigmoid_(-v16));
    const auto v18 = mul_adjoint_(v17, x4);
    const auto v19 = v15 - v18;
    const auto b20 = x0 != 0.0f;
    const auto x21 = load(a.p9, t);
    const auto v22 = 1.0f / x21;
    const auto v23 = mul_adjoint_(v18 - v15, v22);
    const auto x24 = load(a.p8, t);
    store_gradient(team, a.p32, place, t, a.vocab, named, a.p3, either(!reads, v19 == 0.0f),
                   [&](auto z) { return select(b20, mul_adjoint_(v23, exp2_(exponent_(z, x24))), 0.0f); },
                   [&](auto z) { return select(b20, v19 * (1.0f - (exp2_(exponent_(z, x24)) * v22)), 0.0f); },
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
