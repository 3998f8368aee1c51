// lossc, cuda: the loss "jsd" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 8 bytes per vocabulary entry, 16 bytes beside.
constexpr int kTeam = 512, kBlock = 512;  // lanes of a row, threads of a sweep's block
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "jsd", one row of logits per token.
// It folds the row in 3 phases, writes the gradient of the logits, folds 1 value per token.
// Traffic per token: 8 bytes per vocabulary entry, 16 beside.
struct K0 {
  struct Args {
    index n;          // tokens
    const float* p1;  // weights, 1 where not given
    index skip;       // not 0: rows of weight 0 are not read
    const int* p0;    // target_tokens
    index vocab;      // entries of a row
    unsigned* p2;     // status
    const bf16* p3;   // logits
    const float* p4;  // teacher_logits
    double c0;        // beta
    double c1;        // temperature
    float* p5;        // a value per token
    float* p6;        // logprobs
    bf16* p7;         // gradient of logits
    double* p8;       // a partial fold per chunk
    unsigned* p9;     // arrivals
    double* p10;      // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, index t) {
    const float x0 = load_or(a.p1, t, 1.0f);
    const bool reads = !(a.skip != 0 && x0 == 0.0f);
    const index target = load_target(a.p0, t, a.vocab, a.p2);
    const Row<logit> row(a.p3, t, a.vocab);
    const Row<float> row1(a.p4, t, a.vocab);
    const float x1 = float(a.c0);
    const float x2 = float(a.c1);
    float r3 = 0.0f;  // the target's logit
    if (reads) r3 = at(row, target);
    const float v4 = 1.0f / x2;
    float r5 = 0.0f;  // max over the row
    float r6 = 0.0f;  // max over the row
    float r7 = 0.0f;  // max over the row
    if (reads) {
      const auto folded = fold<Max, Max, Max>(team, [&](auto z, auto z1) { return values(z1 * v4, z * v4, z); }, row, row1);
      r5 = folded.v[0];
      r6 = folded.v[1];
      r7 = folded.v[2];
    }
    float r13 = 1.0f;  // sum over the row
    float r14 = 1.0f;  // sum over the row
    float r15 = 1.0f;  // sum over the row
    float r16 = 1.0f;  // sum over the row
    float r17 = 1.0f;  // sum over the row
    float r18 = 1.0f;  // sum over the row
    float r19 = 1.0f;  // sum over the row
    if (reads) {
      const auto folded = fold<Sum, Sum, Sum, Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) { const auto v8 = (z1 * v4) - r5; const auto v9 = fast_exp_(v8); const auto b10 = z != -LOSSC_INFINITY; const auto v11 = (z * v4) - r6; const auto v12 = fast_exp_(v11); return values(v9, select(b10, absorb_(v8, v9), 0.0f), select(b10, v9, 0.0f), v12, select(b10, absorb_(v11, v12), 0.0f), select(b10, v12, 0.0f), fast_exp_(z - r7)); }, row, row1);
      r13 = folded.v[0];
      r14 = folded.v[1];
      r15 = folded.v[2];
      r16 = folded.v[3];
      r17 = folded.v[4];
      r18 = folded.v[5];
      r19 = folded.v[6];
    }
    const float v22 = 1.0f / r13;
    const float v23 = 1.0f - x1;
    const float v25 = 1.0f / r16;
    float r29 = 1.0f;  // sum over the row
    float r30 = 1.0f;  // sum over the row
    float r31 = 1.0f;  // sum over the row
    float r32 = 1.0f;  // sum over the row
    if (reads) {
      const auto folded = fold<Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) { const auto b20 = z != -LOSSC_INFINITY; const auto v21 = fast_exp_((z1 * v4) - r5); const auto v24 = fast_exp_((z * v4) - r6); const auto v26 = absorb_(x1, v21 * v22) + absorb_(v23, v24 * v25); const auto v27 = log_(v26); const auto v28 = 1.0f / v26; return values(select(b20, absorb_(v21, v27), 0.0f), select(b20, absorb_(v24, v27), 0.0f), select(b20, absorb_(v24, absorb_(v24, v28)), 0.0f), select(b20, absorb_(v24, absorb_(v21, v28)), 0.0f)); }, row, row1);
      r29 = folded.v[0];
      r30 = folded.v[1];
      r31 = folded.v[2];
      r32 = folded.v[3];
    }
    const float v33 = (absorb_(v22, r14) - absorb_(r15, absorb_(v22, log_(r13)))) + absorb_(absorb_(-1.0f, v22), r29);
    const float v34 = log_(r16);
    const float v35 = (absorb_(v25, r17) - absorb_(r18, absorb_(v34, v25))) + absorb_(absorb_(-1.0f, v25), r30);
    const float v36 = select(x0 != 0.0f, x0 * ((x1 * v33) + (v23 * v35)), 0.0f);
    put(team, a.p5, t, v36);
    put(team, a.p6, t, logprob_(r3, r7, r19));
    flag_non_finite(a.p2, 1, t, v36);
    const float v38 = chain_(x0, v23);
    const float v42 = absorb_(v25, v38);
    const float v43 = absorb_(r18, v42);
    const float v46 = chain_(x0, x1);
    const float v48 = (absorb_(r17, v42) - absorb_(r18, absorb_(v25, absorb_(v34, v38)))) + absorb_(r30, absorb_(v25, absorb_(v38, -1.0f)));
    const float v49 = (v48 - absorb_(absorb_(v25, absorb_(v23, v42)), r31)) - absorb_(absorb_(v25, absorb_(v23, absorb_(v22, v46))), r32);
    if (!reads) {
      fill_row(team, a.p7, t, a.vocab, 0.0f);
    } else if (!store_row(team, a.p7, t, target,
                          [&](auto z, auto z1) { const auto b37 = z != -LOSSC_INFINITY; const auto v39 = (z * v4) - r6; const auto v40 = fast_exp_(v39) * v25; const auto v41 = select(b37, absorb_(v38, v40), 0.0f); const auto v44 = fast_exp_((z1 * v4) - r5) * v22; const auto v45 = absorb_(x1, v44) + absorb_(v23, v40); const auto v47 = absorb_(v23, chain_(-v41 - select(b37, absorb_(v46, v44), 0.0f), 1.0f / v45)); const auto v50 = absorb_(v40, (select(b37, absorb_(v38, (v39 - v34) - log_(v45)), 0.0f) + v47) - v49); return chain_((v41 - absorb_(v43, v40)) + v50, v4); },
                          [&](auto z, auto z1) { const auto b51 = z != -LOSSC_INFINITY; const auto v52 = (z * v4) - r6; const auto v53 = fast_exp_(v52) * v25; const auto v54 = select(b51, absorb_(v38, v53), 0.0f); const auto v55 = fast_exp_((z1 * v4) - r5) * v22; const auto v56 = absorb_(x1, v55) + absorb_(v23, v53); const auto v57 = absorb_(v23, chain_(-v54 - select(b51, absorb_(v46, v55), 0.0f), 1.0f / v56)); const auto v58 = absorb_(v53, (select(b51, absorb_(v38, (v52 - v34) - log_(v56)), 0.0f) + v57) - v49); return chain_((v54 - absorb_(v43, v53)) + v58, v4); },
                          row, row1)) {
      flag(a.p2, 1, t);
    }
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.n}, first, count, a.p5, a.p8, a.p9, a.p10);
  }
};
LOSSC_SWEEP(k0, K0)

}  // namespace lossc
