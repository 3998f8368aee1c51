// lossc, cuda: the loss "jsd" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 8 bytes per vocabulary entry, 16 bytes beside.
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "jsd", one row of logits per token.
// It folds the row in 3 phases, writes the gradient of the logits, folds 1 value per token.
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
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, index t) {
    const float x0 = load_or(a.p1, t, 1.0f);
    const bool reads = !(a.skip != 0 && x0 == 0.0f);
    const index target = load_target(a.p0, t, a.vocab, a.p2);
    const index place = row_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p3, place, a.vocab);
    const auto row1 = open(team, reads, a.p4, t, a.vocab, row);
    const float x1 = float(a.c0);
    const float x2 = float(a.c1);
    float r3 = 0.0f;  // the target's logit
    if (reads) r3 = at(row, target);
    const float v7 = 1.0f / x2;
    float r13 = 0.0f;  // max over the row
    float r14 = 0.0f;  // max over the row
    float r15 = 0.0f;  // max over the row
    float r16 = 1.0f;  // sum over the row
    float r17 = 1.0f;  // sum over the row
    float r18 = 1.0f;  // sum over the row
    float r19 = 1.0f;  // sum over the row
    float r20 = 1.0f;  // sum over the row
    float r21 = 1.0f;  // sum over the row
    float r22 = 1.0f;  // sum over the row
    if (reads) {
      const auto maxima = fold_part<Max, Max, Max>(team, [&](auto z, auto z1) { return values(z1 * v7, z * v7, z); }, row, row1);
      const float m4 = base_(team, maxima.v[0]);
      const float m5 = base_(team, maxima.v[1]);
      const float m6 = base_(team, maxima.v[2]);
      const auto sums = fold_part<Sum, Sum, Sum, Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) {
        const auto v8 = exp_from_(z1 * v7, m4);
        const auto b9 = z != -LOSSC_INFINITY;
        const auto v10 = (z1 * v7) - m4;
        const auto v11 = exp_from_(z * v7, m5);
        const auto v12 = (z * v7) - m5;
        return values(v8, select(b9, absorb_(v10, v8), 0.0f), select(b9, v8, 0.0f), v11, select(b9, absorb_(v12, v11), 0.0f), select(b9, v11, 0.0f), exp_from_(z, m6));
      }, row, row1);
      const auto whole = meet<Scaled<0>, Shifted<0, 0, 2>, Scaled<0>, Scaled<1>, Shifted<1, 1, 5>, Scaled<1>, Scaled<2>>(team, maxima, sums);
      r13 = whole.v[0];
      r14 = whole.v[1];
      r15 = whole.v[2];
      r16 = whole.v[3];
      r17 = whole.v[4];
      r18 = whole.v[5];
      r19 = whole.v[6];
      r20 = whole.v[7];
      r21 = whole.v[8];
      r22 = whole.v[9];
    }
    const float v25 = 1.0f / r16;
    const float v26 = 1.0f - x1;
    const float v28 = 1.0f / r19;
    float r32 = 1.0f;  // sum over the row
    float r33 = 1.0f;  // sum over the row
    float r34 = 1.0f;  // sum over the row
    float r35 = 1.0f;  // sum over the row
    if (reads) {
      const auto folded = fold<Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) {
        const auto b23 = z != -LOSSC_INFINITY;
        const auto v24 = exp_from_(z1 * v7, r13);
        const auto v27 = exp_from_(z * v7, r14);
        const auto v29 = absorb_(x1, v24 * v25) + absorb_(v26, v27 * v28);
        const auto v30 = log_(v29);
        const auto v31 = 1.0f / v29;
        return values(select(b23, absorb_(v24, v30), 0.0f), select(b23, absorb_(v27, v30), 0.0f), select(b23, absorb_(v27, absorb_(v27, v31)), 0.0f), select(b23, absorb_(v27, absorb_(v24, v31)), 0.0f));
      }, row, row1);
      r32 = folded.v[0];
      r33 = folded.v[1];
      r34 = folded.v[2];
      r35 = folded.v[3];
    }
    const float v36 = (absorb_(v25, r17) - absorb_(r18, absorb_(v25, log_(r16)))) + absorb_(absorb_(-1.0f, v25), r32);
    const float v37 = log_(r19);
    const float v38 = (absorb_(v28, r20) - absorb_(r21, absorb_(v37, v28))) + absorb_(absorb_(-1.0f, v28), r33);
    const float v39 = select(x0 != 0.0f, x0 * ((x1 * v36) + (v26 * v38)), 0.0f);
    put(team, a.p5, t, v39);
    put(team, a.p6, t, logprob_(r3, r15, r22));
    flag_non_finite(a.p2, 1, t, v39);
    const float v41 = chain_(x0, v26);
    const float v44 = absorb_(v28, v41);
    const float v45 = absorb_(r21, v44);
    const float v49 = chain_(x0, x1);
    const float v51 = (absorb_(r20, v44) - absorb_(r21, absorb_(v28, absorb_(v37, v41)))) + absorb_(r33, absorb_(v28, absorb_(v41, -1.0f)));
    const float v52 = (v51 - absorb_(absorb_(v28, absorb_(v26, v44)), r34)) - absorb_(absorb_(v28, absorb_(v26, absorb_(v25, v49))), r35);
    if (!reads) {
      fill_row(team, a.p7, place, a.vocab, 0.0f);
    } else if (!store_row(team, a.p7, place, a.vocab, target,
                          [&](auto z, auto z1) {
                            const auto b40 = z != -LOSSC_INFINITY;
                            const auto v42 = exp_from_(z * v7, r14) * v28;
                            const auto v43 = select(b40, absorb_(v41, v42), 0.0f);
                            const auto v46 = (z * v7) - r14;
                            const auto v47 = exp_from_(z1 * v7, r13) * v25;
                            const auto v48 = absorb_(x1, v47) + absorb_(v26, v42);
                            const auto v50 = absorb_(v26, chain_(-v43 - select(b40, absorb_(v49, v47), 0.0f), 1.0f / v48));
                            const auto v53 = absorb_(v42, (select(b40, absorb_(v41, (v46 - v37) - log_(v48)), 0.0f) + v50) - v52);
                            return chain_((v43 - absorb_(v45, v42)) + v53, v7);
                          },
                          [&](auto z, auto z1) {
                            const auto b54 = z != -LOSSC_INFINITY;
                            const auto v55 = exp_from_(z * v7, r14) * v28;
                            const auto v56 = select(b54, absorb_(v41, v55), 0.0f);
                            const auto v57 = (z * v7) - r14;
                            const auto v58 = exp_from_(z1 * v7, r13) * v25;
                            const auto v59 = absorb_(x1, v58) + absorb_(v26, v55);
                            const auto v60 = absorb_(v26, chain_(-v56 - select(b54, absorb_(v49, v58), 0.0f), 1.0f / v59));
                            const auto v61 = absorb_(v55, (select(b54, absorb_(v41, (v57 - v37) - log_(v59)), 0.0f) + v60) - v52);
                            return chain_((v56 - absorb_(v45, v55)) + v61, v7);
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
LOSSC_SWEEP(k0, K0, 512, 512, 4, true, 10)

}  // namespace lossc
