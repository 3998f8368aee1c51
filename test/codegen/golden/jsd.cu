// lossc, cuda: the kernels of "jsd", 1 sweep and 0 steps.
// They read weights (f32), logits (bf16), teacher_logits (f32), target_tokens (i32).
// They give status (u32), logprobs (f32), gradient of logits (bf16), loss (f64).
// A token moves 8 bytes per entry of its row and 16 more.
// ---- prelude ----

// ---- kernels ----

// k0: sweep 1 of 1 of "jsd", one row of logits per token.
// It folds the row in 3 phases, writes the gradient of logits, folds 1 value per token.
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
    double c0;        // beta
    double c1;        // temperature
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
    const auto x2 = float(a.c1);
    const auto r3 = when(reads, 0.0f, [&] { return at(row, named); });  // logits at target_tokens
    const auto v8 = 1.0f / x2;
    const auto f15 = when(reads, values(0.0f, 0.0f, 0.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f), [&] {
      const auto m7 = fold_part<Max>(team, row1);
      const auto m9 = fold_part<Max>(team, row);
      const auto maxima = values(scaled_max(team, m7, v8, row1), scaled_max(team, m9, v8, row), m9.v[0]);
      const auto m4 = base_(team, maxima.v[0]);
      const auto m5 = base_(team, maxima.v[1]);
      const auto m6 = base_(team, maxima.v[2]);
      const auto sums = fold_part<Sum, Sum, Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) {
        const auto v10 = exponent_(z1, m4, v8);
        const auto v11 = exp2_(v10);
        const auto b12 = z != -LOSSC_INFINITY;
        const auto v13 = exponent_(z, m5, v8);
        const auto v14 = exp2_(v13);
        return summands(v11, product_where(b12 & (v11 != 0.0f), v10, v11), only_where(b12, v11), v14, product_where((v14 != 0.0f), v13, v14), exp2_(exponent_(z, m6)));
      }, row, row1);
      return merge_partials<Scaled<0>, Shifted<0, 2, Exponent<0>>, Scaled<0>, Scaled<1>, Shifted<1, 3, Exponent<1>>, Scaled<2>>(team, maxima, sums);
    });
    const auto r16 = f15.v[0];  // max over the row
    const auto r17 = f15.v[1];  // max over the row
    const auto r18 = f15.v[2];  // max over the row
    const auto r19 = f15.v[3];  // sum over the row
    const auto r20 = f15.v[4];  // sum over the row
    const auto r21 = f15.v[5];  // sum over the row
    const auto r22 = f15.v[6];  // sum over the row
    const auto r23 = f15.v[7];  // sum over the row
    const auto r24 = f15.v[8];  // sum over the row
    const auto v26 = 1.0f / r19;
    const auto v27 = 1.0f - x1;
    const auto v29 = 1.0f / r22;
    const auto f35 = when(reads, values(1.0f, 1.0f, 1.0f, 1.0f), [&] {
      return fold<Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) {
        const auto v25 = exp2_(exponent_(z1, r16, v8));
        const auto v28 = exp2_(exponent_(z, r17, v8));
        const auto v30 = mul_no_nan_(x1, v25 * v26) + mul_no_nan_(v27, v28 * v29);
        const auto v31 = log_(v30);
        const auto v32 = 1.0f / v30;
        const auto v33 = mul_no_nan_(v28, v32);
        const auto v34 = mul_no_nan_(v25, v32);
        return summands(product_where((z != -LOSSC_INFINITY) & (v25 != 0.0f) & (v31 != 0.0f), v25, v31), product_where((v28 != 0.0f) & (v31 != 0.0f), v28, v31), product_where((v28 != 0.0f) & (v33 != 0.0f), v28, v33), product_where((v28 != 0.0f) & (v34 != 0.0f), v28, v34));
      }, row, row1);
    });
    const auto r36 = f35.v[0];  // sum over the row
    const auto r37 = f35.v[1];  // sum over the row
    const auto r38 = f35.v[2];  // sum over the row
    const auto r39 = f35.v[3];  // sum over the row
    const auto v40 = mul_no_nan_(mul_no_nan_(0.6931472f, v26), r20) - mul_no_nan_(r21, mul_no_nan_(v26, log_(r19)));
    const auto v41 = log_(r22);
    const auto v42 = mul_no_nan_(r23, mul_no_nan_(0.6931472f, v29)) - mul_no_nan_(r22, mul_no_nan_(v29, v41));
    const auto v43 = (x1 * (v40 - mul_no_nan_(v26, r36))) + (v27 * (v42 - mul_no_nan_(v29, r37)));
    const auto v44 = select(x0 != 0.0f, x0 * v43, 0.0f);
    put(team, a.p5, t, v44);
    put(team, a.p6, t, logprob_(r3, r18, r24));
    flag_non_finite(a.p4, 1, t, v44);
    const auto v45 = mul_adjoint_(x0, v27);
    const auto v46 = mul_no_nan_(v45, v29);
    const auto v47 = mul_no_nan_(r22, v46);
    const auto v48 = mul_adjoint_(x0, x1);
    const auto v49 = mul_no_nan_(v46, (mul_no_nan_(0.6931472f, r23) - mul_no_nan_(r22, v41)) - r37);
    const auto v50 = mul_no_nan_(mul_no_nan_(v27, v29), (-mul_no_nan_(v46, r38)) - mul_no_nan_(mul_no_nan_(v48, v26), r39));
    const auto v51 = v49 + v50;
    const auto v52 = v46 - mul_no_nan_(v47, v29);
    store_gradient(team, a.p7, place, t, a.vocab, named, a.p4, either(!reads, (v45 == 0.0f) & (v47 == 0.0f) & (mul_no_nan_(v27, v45) == 0.0f) & (mul_no_nan_(v27, v48) == 0.0f) & (v51 == 0.0f)),
                   [&](auto z, auto z1) {
                     const auto v53 = exponent_(z, r17, v8);
                     const auto v54 = exp2_(v53);
                     const auto v55 = exp2_(exponent_(z1, r16, v8)) * v26;
                     const auto v56 = v54 * v29;
                     const auto v57 = mul_no_nan_(x1, v55) + mul_no_nan_(v27, v56);
                     const auto v58 = mul_adjoint_((-mul_no_nan_(v45, v56)) - mul_no_nan_(v48, v55), 1.0f / v57);
                     const auto v59 = mul_no_nan_(v45, ((0.6931472f * v53) - v41) - log_(v57)) + mul_no_nan_(v27, v58);
                     const auto v60 = v59 - v51;
                     const auto v61 = plus_product(mul_adjoint_(v52, v54), (v56 != 0.0f) & (v60 != 0.0f), v56, v60);
                     return mul_adjoint_(v61, v8);
                   },
                   [&](auto z, auto z1) {
                     const auto v62 = exponent_(z, r17, v8);
                     const auto v63 = exp2_(v62) * v29;
                     const auto v64 = mul_no_nan_(v45, v63);
                     const auto v65 = exp2_(exponent_(z1, r16, v8)) * v26;
                     const auto v66 = mul_no_nan_(x1, v65) + mul_no_nan_(v27, v63);
                     const auto v67 = mul_no_nan_(v45, ((0.6931472f * v62) - v41) - log_(v66)) + mul_no_nan_(v27, mul_adjoint_(-v64 - mul_no_nan_(v48, v65), 1.0f / v66));
                     const auto v68 = mul_adjoint_((v64 - mul_no_nan_(v47, v63)) + mul_no_nan_(v63, v67 - v51), v8);
                     return v68;
                   },
                   row, row1);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p5, a.p8, a.p9, a.p10);
  }
};

// ---- entry points ----
// k0: 8 blocks of 256 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 256, 256, 8, true, 9, 512)

}  // namespace lossc
