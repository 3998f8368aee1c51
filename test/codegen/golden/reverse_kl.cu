// lossc, cuda: the loss "reverse_kl" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 8 bytes per vocabulary entry, 16 bytes beside.
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "reverse_kl", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of the logits, folds 1 value per token.
// Traffic per token: 8 bytes per vocabulary entry, 16 beside.
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
    const float* p4;  // teacher_logits
    double c0;        // temperature
    float* p5;        // a value per token
    float* p6;        // logprobs
    bf16* p7;         // gradient of logits
    index tokens;
    double* p8;       // a partial fold per chunk
    unsigned* p9;     // arrivals
    double* p10;      // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, index t) {
    const float x0 = load_or(a.p1, t, 1.0f);
    const bool reads = !(a.skip != 0 && x0 == 0.0f);
    const index target = load_target(a.p0, t, a.vocab, a.p2);
    const index place = row_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p3, place, a.vocab);
    const auto row1 = open(team, reads, a.p4, t, a.vocab, row);
    const float x1 = float(a.c0);
    float r2 = 0.0f;  // the target's logit
    if (reads) r2 = at(row, target);
    const float v6 = 1.0f / x1;
    float r11 = 0.0f;  // max over the row
    float r12 = 0.0f;  // max over the row
    float r13 = 0.0f;  // max over the row
    float r14 = 1.0f;  // sum over the row
    float r15 = 1.0f;  // sum over the row
    float r16 = 1.0f;  // sum over the row
    float r17 = 1.0f;  // sum over the row
    float r18 = 1.0f;  // sum over the row
    float r19 = 1.0f;  // sum over the row
    if (reads) {
      const auto maxima = fold_part<Max, Max, Max>(team, [&](auto z, auto z1) { return values(z * v6, z1 * v6, z); }, row, row1);
      const float m3 = base_(team, maxima.v[0]);
      const float m4 = base_(team, maxima.v[1]);
      const float m5 = base_(team, maxima.v[2]);
      const auto sums = fold_part<Sum, Sum, Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) {
        const auto v7 = exp_from_(z * v6, m3);
        const auto b8 = z != -LOSSC_INFINITY;
        const auto v9 = (z * v6) - m3;
        const auto v10 = (z1 * v6) - m4;
        return values(v7, select(b8, absorb_(v9, v7), 0.0f), select(b8, v7, 0.0f), select(b8, absorb_(v10, v7), 0.0f), exp_from_(z1 * v6, m4), exp_from_(z, m5));
      }, row, row1);
      const auto whole = meet<Scaled<0>, Shifted<0, 0, 2>, Scaled<0>, Shifted<0, 1, 2>, Scaled<1>, Scaled<2>>(team, maxima, sums);
      r11 = whole.v[0];
      r12 = whole.v[1];
      r13 = whole.v[2];
      r14 = whole.v[3];
      r15 = whole.v[4];
      r16 = whole.v[5];
      r17 = whole.v[6];
      r18 = whole.v[7];
      r19 = whole.v[8];
    }
    const float v20 = 1.0f / r14;
    const float v21 = log_(r14);
    const float v22 = (absorb_(v20, r15) - absorb_(r16, absorb_(v21, v20))) + absorb_(absorb_(-1.0f, v20), r17);
    const float v23 = log_(r18);
    const float v24 = select(x0 != 0.0f, x0 * (v22 + absorb_(r16, absorb_(v23, v20))), 0.0f);
    put(team, a.p5, t, v24);
    put(team, a.p6, t, logprob_(r2, r13, r19));
    flag_non_finite(a.p2, 1, t, v24);
    const float v27 = absorb_(x0, v20);
    const float v28 = absorb_(r16, v27);
    const float v30 = (absorb_(r15, v27) - absorb_(r16, absorb_(v20, absorb_(x0, v21)))) + absorb_(r17, absorb_(v20, absorb_(x0, -1.0f)));
    const float v31 = v30 + absorb_(r16, absorb_(v20, absorb_(x0, v23)));
    if (!reads) {
      fill_row(team, a.p7, place, a.vocab, 0.0f);
    } else if (!store_row(team, a.p7, place, a.vocab, target,
                          [&](auto z, auto z1) {
                            const auto b25 = z != -LOSSC_INFINITY;
                            const auto v26 = exp_from_(z * v6, r11) * v20;
                            const auto v29 = (z * v6) - r11;
                            const auto v32 = select(b25, absorb_(x0, (v29 - v21) - (((z1 * v6) - r12) - v23)), 0.0f) - v31;
                            const auto v33 = (select(b25, absorb_(x0, v26), 0.0f) - absorb_(v28, v26)) + absorb_(v26, v32);
                            return chain_(v33, v6);
                          },
                          [&](auto z, auto z1) {
                            const auto b34 = z != -LOSSC_INFINITY;
                            const auto v35 = exp_from_(z * v6, r11) * v20;
                            const auto v36 = (z * v6) - r11;
                            const auto v37 = select(b34, absorb_(x0, (v36 - v21) - (((z1 * v6) - r12) - v23)), 0.0f) - v31;
                            const auto v38 = (select(b34, absorb_(x0, v35), 0.0f) - absorb_(v28, v35)) + absorb_(v35, v37);
                            return chain_(v38, v6);
                          },
                          row, row1)) {
      flag(a.p2, 1, t);
    }
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p5, a.p8, a.p9, a.p10);
  }
};

// ---- entry points ----
// k0: 4 blocks of 512 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 512, 512, 4, true, 9)

}  // namespace lossc
