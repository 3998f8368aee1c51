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
    const float* p1;  // weights, 1 where not given
    index skip;       // not 0: rows of weight 0 are not read
    const int* p0;    // target_tokens
    index vocab;      // entries of a row
    unsigned* p2;     // status
    const int* rows;  // the row of each token; null: in the order of the tokens visited
    const bf16* p3;   // logits
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
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, index t) {
    const float x0 = load_or(a.p1, t, 1.0f);
    const bool reads = !(a.skip != 0 && x0 == 0.0f);
    const index target = load_target(a.p0, t, a.vocab, a.p2);
    const index place = row_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p3, place, a.vocab);
    const float x1 = load(a.p4, t);
    const float x2 = load(a.p5, t);
    const float x3 = float(a.c0);
    const float x4 = float(a.c1);
    const float x5 = float(a.c2);
    float r6 = 0.0f;  // the target's logit
    if (reads) r6 = at(row, target);
    float r10 = 0.0f;  // max over the row
    float r11 = 1.0f;  // sum over the row
    float r12 = 1.0f;  // sum over the row
    if (reads) {
      const auto maxima = fold_part<Max>(team, [&](auto z) { return values(z); }, row);
      const float m7 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum, Sum>(team, [&](auto z) {
        const auto v8 = exp_from_(z, m7);
        const auto v9 = z - m7;
        return values(v8, absorb_(v9, v8));
      }, row);
      const auto whole = meet<Scaled<0>, Shifted<0, 0, 0>>(team, maxima, sums);
      r10 = whole.v[0];
      r11 = whole.v[1];
      r12 = whole.v[2];
    }
    const float v13 = logprob_(r6, r10, r11);
    const float v14 = exp_(v13 - x1);
    const float v15 = v14 * x2;
    const float v16 = clamp_(v14, x3, x4) * x2;
    const float v17 = 1.0f / r11;
    const float v18 = log_(r11);
    const float v19 = (-min_(v15, v16)) - (x5 * (absorb_(r11, absorb_(v17, v18)) - absorb_(v17, r12)));
    const float v20 = select(x0 != 0.0f, x0 * v19, 0.0f);
    put(team, a.p6, t, v20);
    put(team, a.p7, t, v13);
    flag_non_finite(a.p2, 1, t, v20);
    const float v21 = -x0;
    const float v22 = chain_(v21, x5);
    const float v23 = absorb_(v17, v22);
    const float v24 = absorb_(r11, v23);
    const float v27 = absorb_(r11, absorb_(v17, absorb_(v18, v22))) - absorb_(r12, v23);
    const float v29 = chain_(select(v15 == v16, -(x0 * 0.5f), v21), x2);
    const float v30 = select((v14 >= x3) & (v14 <= x4), select(v16 > v15, 0.0f, v29), 0.0f) + select(v15 > v16, 0.0f, v29);
    const float v31 = chain_(v30, v14);
    if (!reads) {
      fill_row(team, a.p8, place, a.vocab, 0.0f);
    } else if (!store_row(team, a.p8, place, a.vocab, target,
                          [&](auto z) {
                            const auto v25 = exp_from_(z, r10) * v17;
                            const auto v26 = z - r10;
                            const auto v28 = absorb_(v25, select(z != -LOSSC_INFINITY, -absorb_(v22, v26 - v18), 0.0f) - v27);
                            return ((absorb_(v24, v25) - absorb_(v22, v25)) + v28) + chain_(-v31, v25);
                          },
                          [&](auto z) {
                            const auto v32 = exp_from_(z, r10) * v17;
                            const auto v33 = z - r10;
                            const auto v34 = absorb_(v32, select(z != -LOSSC_INFINITY, -absorb_(v22, v33 - v18), 0.0f) - v27);
                            const auto v35 = ((absorb_(v24, v32) - absorb_(v22, v32)) + v34) + chain_(v31, 1.0f - v32);
                            return v35;
                          },
                          row)) {
      flag(a.p2, 1, t);
    }
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p6, a.p9, a.p10, a.p11);
  }
};

// ---- entry points ----
// k0: 8 blocks of 256 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 256, 256, 8, true, 3)

}  // namespace lossc
