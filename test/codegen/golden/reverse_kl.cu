// lossc, cuda: the kernels of "reverse_kl", 1 sweep and 0 steps.
// They read weights (f32), logits (bf16), teacher_logits (f32), target_tokens (i32).
// They give status (u32), logprobs (f32), gradient of logits (bf16), loss (f64).
// A token moves 8 bytes per entry of its row and 16 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 1 of "reverse_kl", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of logits, folds 1 value per token.
// Traffic per token: 8 bytes per entry of its row and 16 more.
struct K0 {
  struct Args {
    index first;      // tokens from here on
    index last;       // up to, and without, this one
    const float* p0;  // weights, 1 where not given
    index skip;       // not 0: no row is read where weights is 0
    const int* rows;  // the row of each token; null: in the order of the tokens visited
    const bf16* p1;   // logits
    index vocab;      // entries of a row
    const float* p2;  // teacher_logits
    const int* p3;    // target_tokens
    unsigned* p4;     // status
    double c0;        // temperature
    float* p5;        // a value per token
    float* p6;        // logprobs
    bf16* p7;         // gradient of logits
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
    const auto row1 = open(team, reads, a.p2, t, a.vocab, row);
    const auto named = load_index(a.p3, t, a.vocab, a.p4);
    const auto x1 = float(a.c0);
    const auto r2 = when(reads, 0.0f, [&] { return at(row, named); });  // logits at target_tokens
    const auto v7 = 1.0f / x1;
    const auto f12 = when(reads, values(0.0f, 0.0f, 0.0f, 1.0f, 1.0f, 1.0f, 1.0f), [&] {
      const auto m6 = fold_part<Max>(team, row);
      const auto m8 = fold_part<Max>(team, row1);
      const auto maxima = values(scaled_max(team, m6, v7, row), scaled_max(team, m8, v7, row1), m6.v[0]);
      const auto m3 = base_(team, maxima.v[0]);
      const auto m4 = base_(team, maxima.v[1]);
      const auto m5 = base_(team, maxima.v[2]);
      const auto sums = fold_part<Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) {
        const auto v9 = exponent_(z, m3, v7);
        const auto v10 = exp2_(v9);
        const auto v11 = exponent_(z1, m4, v7);
        return summands(product_where((v10 != 0.0f), v10, v9 - v11), v10, exp2_(v11), exp2_(exponent_(z, m5)));
      }, row, row1);
      return merge_partials<Shifted<0, 1, Exponent<0>, Minus<Exponent<1>>>, Scaled<0>, Scaled<1>, Scaled<2>>(team, maxima, sums);
    });
    const auto r13 = f12.v[0];  // max over the row
    const auto r14 = f12.v[1];  // max over the row
    const auto r15 = f12.v[2];  // max over the row
    const auto r16 = f12.v[3];  // sum over the row
    const auto r17 = f12.v[4];  // sum over the row
    const auto r18 = f12.v[5];  // sum over the row
    const auto r19 = f12.v[6];  // sum over the row
    const auto v20 = 1.0f / r17;
    const auto v21 = log_(r17);
    const auto v22 = mul_no_nan_(r16, mul_no_nan_(0.6931472f, v20)) - mul_no_nan_(r17, mul_no_nan_(v20, v21));
    const auto v23 = log_(r18);
    const auto v24 = select(x0 != 0.0f, x0 * (v22 + mul_no_nan_(r17, mul_no_nan_(v20, v23))), 0.0f);
    put(team, a.p5, t, v24);
    put(team, a.p6, t, logprob_(r2, r15, r19));
    flag_non_finite(a.p4, 1, t, v24);
    const auto v25 = mul_no_nan_(x0, v20);
    const auto v26 = mul_no_nan_(r17, v25);
    const auto v27 = (mul_no_nan_(0.6931472f, r16) - mul_no_nan_(r17, v21)) + mul_no_nan_(r17, v23);
    const auto v28 = mul_no_nan_(v25, v27);
    const auto v29 = (mul_adjoint_(v25, v7) - mul_adjoint_(mul_no_nan_(v26, v20), v7)) + mul_adjoint_(mul_no_nan_(v20, mul_no_nan_(x0, v23 - v21) - v28), v7);
    const auto v30 = mul_adjoint_(mul_no_nan_(v20, mul_no_nan_(x0, 0.6931472f)), v7);
    store_gradient(team, a.p7, place, t, a.vocab, named, a.p4, either(!reads, (x0 == 0.0f) & (v26 == 0.0f) & (v28 == 0.0f)),
                   [&](auto z, auto z1) {
                     const auto v31 = exponent_(z, r13, v7);
                     const auto v32 = plus_product(plus_product(v29, true, v30, v31), (-v30 != 0.0f), -v30, exponent_(z1, r14, v7));
                     return mul_adjoint_(exp2_(v31), v32);
                   },
                   [&](auto z, auto z1) {
                     const auto v33 = exponent_(z, r13, v7);
                     const auto v34 = exp2_(v33) * v20;
                     const auto v35 = ((0.6931472f * v33) - v21) - ((0.6931472f * exponent_(z1, r14, v7)) - v23);
                     const auto v36 = (mul_no_nan_(x0, v34) - mul_no_nan_(v26, v34)) + mul_no_nan_(v34, mul_no_nan_(x0, v35) - v28);
                     return mul_adjoint_(v36, v7);
                   },
                   row, row1);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p5, a.p8, a.p9, a.p10);
  }
};

// ---- entry points ----
// k0: 8 blocks of 256 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 256, 256, 8, true, 7, 512)

}  // namespace lossc
