// lossc, cuda: the loss "ppo_entropy" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 24 bytes beside.
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "ppo_entropy", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of the logits, folds 1 value per token.
// Traffic per token: 4 bytes per vocabulary entry, 24 beside.
struct K0 {
  struct Args {
    index first;      // tokens from here on
    index last;       // up to, and without, this one
    const float* p0;  // weights, 1 where not given
    index skip;       // not 0: rows of weight 0 are not read
    const int* rows;  // the row of each token; null: in the order of the tokens visited
    const bf16* p1;   // logits
    index vocab;      // entries of a row
    const int* p2;    // target_tokens
    unsigned* p3;     // status
    const float* p4;  // logprobs
    const float* p5;  // advantages
    double c0;        // clip_low_threshold
    double c1;        // clip_high_threshold
    double c2;        // entropy_coefficient
    float* p6;        // a value per token
    float* p7;        // logprobs
    bf16* p8;         // gradient of logits
    index tokens;
    double* p9;       // a partial fold per chunk
    unsigned* p10;    // arrivals
    double* p11;      // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, typename Team::Tokens t) {
    const auto x0 = load_or(a.p0, t, 1.0f);
    const auto reads = either(a.skip == 0, x0 != 0.0f);
    const auto place = place_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p1, place, a.vocab);
    const auto target = load_target(a.p2, t, a.vocab, a.p3);
    const auto x1 = load(a.p4, t);
    const auto x2 = load(a.p5, t);
    const auto x3 = float(a.c0);
    const auto x4 = float(a.c1);
    const auto x5 = float(a.c2);
    const auto r6 = when(reads, 0.0f, [&] { return at(row, target); });  // the target's logit
    const auto f10 = when(reads, values(0.0f, 1.0f, 1.0f), [&] {
      const auto maxima = fold_part<Max>(team, row);
      const auto m7 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum, Sum>(team, [&](auto z) {
        const auto v8 = exp_from_(z, m7);
        const auto v9 = z - m7;
        return values(v8, chain_(v8, v9));
      }, row);
      return meet<Scaled<0>, Shifted<0, 0, 0>>(team, maxima, sums);
    });
    const auto r11 = f10.v[0];  // max over the row
    const auto r12 = f10.v[1];  // sum over the row
    const auto r13 = f10.v[2];  // sum over the row
    const auto v14 = logprob_(r6, r11, r12);
    const auto v15 = exp_(v14 - x1);
    const auto v16 = v15 * x2;
    const auto v17 = clamp_(v15, x3, x4) * x2;
    const auto v18 = 1.0f / r12;
    const auto v19 = log_(r12);
    const auto v20 = (-min_(v16, v17)) - (x5 * (absorb_(r12, absorb_(v18, v19)) - absorb_(v18, r13)));
    const auto v21 = select(x0 != 0.0f, x0 * v20, 0.0f);
    put(team, a.p6, t, v21);
    put(team, a.p7, t, v14);
    flag_non_finite(a.p3, 1, t, v21);
    const auto v22 = -x0;
    const auto v23 = chain_(v22, x5);
    const auto v24 = absorb_(v23, v18);
    const auto v25 = absorb_(r12, v24);
    const auto v26 = absorb_(r12, absorb_(v18, absorb_(v23, v19))) - absorb_(r13, v24);
    const auto v27 = chain_(select(v16 == v17, -(x0 * 0.5f), v22), x2);
    const auto v28 = select((v15 >= x3) & (v15 <= x4), select(v17 > v16, 0.0f, v27), 0.0f) + select(v16 > v17, 0.0f, v27);
    const auto v29 = chain_(v28, v15);
    const auto v30 = ((absorb_(v25, v18) + -v24) + absorb_(v18, (-absorb_(v23, -v19)) + -v26)) + chain_(-v29, v18);
    const auto v32 = absorb_(v18, -v23);
    store_gradient(team, a.p8, place, t, a.vocab, target, a.p3, either(!reads, (v25 == 0.0f) & (v23 == 0.0f) & (v26 == 0.0f) & (v29 == 0.0f)),
                   [&](auto z) {
                     const auto v31 = exp_from_(z, r11);
                     const auto v33 = z - r11;
                     return (v30 * v31) + (v32 * (v31 * v33));
                   },
                   [&](auto z) {
                     const auto v34 = exp_from_(z, r11) * v18;
                     const auto v35 = z - r11;
                     const auto v36 = (absorb_(v25, v34) - absorb_(v23, v34)) + absorb_(v34, (-absorb_(v23, v35 - v19)) - v26);
                     return v36 + chain_(v29, 1.0f - v34);
                   },
                   row);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p6, a.p9, a.p10, a.p11);
  }
};

// ---- entry points ----
// k0: 8 blocks of 128 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 128, 128, 8, true, 3, 512)

}  // namespace lossc
