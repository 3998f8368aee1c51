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
    const float* p0;  // weights, 1 where not given
    index skip;       // not 0: rows of weight 0 are not read
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
    const auto target = load_target(a.p3, t, a.vocab, a.p4);
    const auto x1 = float(a.c0);
    const auto x2 = float(a.c1);
    const auto r3 = when(reads, 0.0f, [&] { return at(row, target); });  // the target's logit
    const auto v7 = 1.0f / x2;
    const auto f13 = when(reads, values(0.0f, 0.0f, 0.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f), [&] {
      const auto maxima = fold_part<Max, Max, Max>(team, [&](auto z, auto z1) { return values(z1 * v7, z * v7, z); }, row, row1);
      const auto m4 = base_(team, maxima.v[0]);
      const auto m5 = base_(team, maxima.v[1]);
      const auto m6 = base_(team, maxima.v[2]);
      const auto sums = fold_part<Sum, Sum, Sum, Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) {
        const auto v8 = exp_from_(z1 * v7, m4);
        const auto b9 = z != -LOSSC_INFINITY;
        const auto v10 = (z1 * v7) - m4;
        const auto v11 = exp_from_(z * v7, m5);
        const auto v12 = (z * v7) - m5;
        return values(v8, select(b9, times_(v8, v10), 0.0f), select(b9, v8, 0.0f), v11, select(b9, times_(v11, v12), 0.0f), select(b9, v11, 0.0f), exp_from_(z, m6));
      }, row, row1);
      return meet<Scaled<0>, Shifted<0, 0, 2>, Scaled<0>, Scaled<1>, Shifted<1, 1, 5>, Scaled<1>, Scaled<2>>(team, maxima, sums);
    });
    const auto r14 = f13.v[0];  // max over the row
    const auto r15 = f13.v[1];  // max over the row
    const auto r16 = f13.v[2];  // max over the row
    const auto r17 = f13.v[3];  // sum over the row
    const auto r18 = f13.v[4];  // sum over the row
    const auto r19 = f13.v[5];  // sum over the row
    const auto r20 = f13.v[6];  // sum over the row
    const auto r21 = f13.v[7];  // sum over the row
    const auto r22 = f13.v[8];  // sum over the row
    const auto r23 = f13.v[9];  // sum over the row
    const auto v26 = 1.0f / r17;
    const auto v27 = absorb_(x1, v26);
    const auto v29 = 1.0f - x1;
    const auto v30 = 1.0f / r20;
    const auto v31 = absorb_(v29, v30);
    const auto f35 = when(reads, values(1.0f, 1.0f, 1.0f, 1.0f), [&] {
      return fold<Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) {
        const auto b24 = z != -LOSSC_INFINITY;
        const auto v25 = exp_from_(z1 * v7, r14);
        const auto v28 = exp_from_(z * v7, r15);
        const auto v32 = times_(v25, v27) + times_(v28, v31);
        const auto v33 = log_(v32);
        const auto v34 = 1.0f / v32;
        return values(select(b24, times_(v25, v33), 0.0f), select(b24, times_(v28, v33), 0.0f), select(b24, times_(v28, times_(v28, v34)), 0.0f), select(b24, times_(v28, times_(v25, v34)), 0.0f));
      }, row, row1);
    });
    const auto r36 = f35.v[0];  // sum over the row
    const auto r37 = f35.v[1];  // sum over the row
    const auto r38 = f35.v[2];  // sum over the row
    const auto r39 = f35.v[3];  // sum over the row
    const auto v40 = (absorb_(v26, r18) - absorb_(r19, absorb_(v26, log_(r17)))) - absorb_(v26, r36);
    const auto v41 = log_(r20);
    const auto v42 = (absorb_(v30, r21) - absorb_(r22, absorb_(v30, v41))) - absorb_(v30, r37);
    const auto v43 = select(x0 != 0.0f, x0 * ((x1 * v40) + (v29 * v42)), 0.0f);
    put(team, a.p5, t, v43);
    put(team, a.p6, t, logprob_(r3, r16, r23));
    flag_non_finite(a.p4, 1, t, v43);
    const auto v46 = chain_(x0, v29);
    const auto v47 = absorb_(v46, v30);
    const auto v49 = absorb_(r22, v47);
    const auto v50 = absorb_(v49, v30);
    const auto v54 = chain_(x0, x1);
    const auto v55 = absorb_(v54, v26);
    const auto v57 = (absorb_(v47, r21) - absorb_(r22, absorb_(v30, absorb_(v46, v41)))) - absorb_(v47, r37);
    const auto v58 = (v57 - absorb_(absorb_(v30, absorb_(v29, v47)), r38)) - absorb_(absorb_(v30, absorb_(v29, v55)), r39);
    store_gradient(team, a.p7, place, t, a.vocab, target, a.p4, !reads,
                   [&](auto z, auto z1) {
                     const auto b44 = z != -LOSSC_INFINITY;
                     const auto v45 = exp_from_(z * v7, r15);
                     const auto v48 = select(b44, times_(v45, v47), 0.0f);
                     const auto v51 = (z * v7) - r15;
                     const auto v52 = exp_from_(z1 * v7, r14);
                     const auto v53 = times_(v52, v27) + times_(v45, v31);
                     const auto v56 = absorb_(v29, chain_(-v48 - select(b44, times_(v52, v55), 0.0f), 1.0f / v53));
                     const auto v59 = absorb_(v45 * v30, (select(b44, absorb_(v46, (v51 - v41) - log_(v53)), 0.0f) + v56) - v58);
                     return chain_((v48 - times_(v45, v50)) + v59, v7);
                   },
                   [&](auto z, auto z1) {
                     const auto b60 = z != -LOSSC_INFINITY;
                     const auto v61 = exp_from_(z * v7, r15);
                     const auto v62 = select(b60, times_(v61, v47), 0.0f);
                     const auto v63 = (z * v7) - r15;
                     const auto v64 = exp_from_(z1 * v7, r14);
                     const auto v65 = times_(v64, v27) + times_(v61, v31);
                     const auto v66 = absorb_(v29, chain_(-v62 - select(b60, times_(v64, v55), 0.0f), 1.0f / v65));
                     const auto v67 = absorb_(v61 * v30, (select(b60, absorb_(v46, (v63 - v41) - log_(v65)), 0.0f) + v66) - v58);
                     return chain_((v62 - times_(v61, v50)) + v67, v7);
                   },
                   row, row1);
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p5, a.p8, a.p9, a.p10);
  }
};

// ---- entry points ----
// k0: 8 blocks of 256 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 256, 256, 8, true, 10)

}  // namespace lossc
