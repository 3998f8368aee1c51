// lossc, cuda: the kernels of "variance of logprobs", 2 sweeps and 1 step.
// They read weights (f32), logits (bf16), target_tokens (i32).
// They give logprobs (f32), status (u32), gradient of logits (bf16), loss (f32).
// A token moves 6 bytes per entry of its row and 52 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 2 of "variance of logprobs", one row of logits per token.
// It folds the row in 2 phases, folds 2 values per token.
// Traffic per token: 2 bytes per entry of its row and 28 more.
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
    float* p5;        // a value per token
    float* p6;        // a value per token
    float* p0;        // logprobs
    float* p7;        // a value per token
    float* p8;        // a value per token
    index tokens;
    double* p9;       // a partial fold per chunk
    unsigned* p10;    // arrivals
    double* p11;      // a sum per batch
    double* p12;      // a partial fold per chunk
    unsigned* p13;    // arrivals
    double* p14;      // a sum per batch
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p1, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p2, place, a.vocab);
    const auto named = load_index(a.p3, t, a.vocab, a.p4);
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
    put(team, a.p5, t, select(b7, 1.0f, 0.0f));
    const auto v8 = logprob_(r1, r5, r6);
    put(team, a.p6, t, select(b7, v8, 0.0f));
    put(team, a.p0, t, v8);
    put(team, a.p7, t, r5);
    put(team, a.p8, t, r6);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p5, a.p9, a.p10, a.p11);
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p6, a.p12, a.p13, a.p14);
  }
};

// k1: sweep 2 of 2 of "variance of logprobs", one row of logits per token.
// It writes the gradient of logits, folds 1 value per token.
// Traffic per token: 4 bytes per entry of its row and 24 more.
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
    float* p15;         // a value per token
    const double* p14;  // a sum per batch
    const double* p11;  // a sum per batch
    bf16* p16;          // gradient of logits
    const float* p8;    // a value per token
    const float* p7;    // a value per token
    index tokens;
    double* p17;        // a partial fold per chunk
    unsigned* p18;      // arrivals
    double* p19;        // a sum per batch
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p1, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p2, place, a.vocab);
    const auto named = load_index(a.p3, t, a.vocab, a.p4);
    const auto x1 = load(a.p0, t);
    const auto b2 = x0 != 0.0f;
    const auto x3 = load(a.p14, 0);
    const auto x4 = load(a.p11, 0);
    const auto v5 = x1 - (x3 / x4);
    put(team, a.p15, t, select(b2, v5 * v5, 0.0f));
    const auto v6 = mul_adjoint_(1.0f / (x4 - 1.0f), 2.0f * v5);
    const auto x7 = load(a.p8, t);
    const auto v8 = 1.0f / x7;
    const auto v9 = -v6 * v8;
    const auto x10 = load(a.p7, t);
    store_gradient(team, a.p16, place, t, a.vocab, named, a.p4, either(!reads, v6 == 0.0f),
                   [&](auto z) { return select(b2, v9 * exp2_(exponent_(z, x10)), 0.0f); },
                   [&](auto z) { return select(b2, v6 * (1.0f - (exp2_(exponent_(z, x10)) * v8)), 0.0f); },
                   row);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p15, a.p17, a.p18, a.p19);
  }
};

// k2: a step of "variance of logprobs", one batch at a time.
struct K2 {
  struct Args {
    index first;        // the batch
    index last;         // up to, and without, this one
    float* p20;         // loss
    const double* p11;  // a sum per batch
    const double* p19;  // a sum per batch
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const auto x0 = load(a.p11, 0);
    const auto x1 = load(a.p19, 0);
    store(a.p20, i, select(x0 > 0.0f, x1 / (x0 - 1.0f), 0.0f));
  }
  template <class Team> LOSSC_FN static void tails(const Args&, const Team&, index, index) {}
};

// ---- entry points ----
// k0: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 128, 128, 8, true, 2, 512)
// k1: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k1, K1, 128, 128, 8, true, 0, 512)
LOSSC_STEP(k2, K2, 256)

}  // namespace lossc
