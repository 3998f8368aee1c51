// lossc, cuda: the loss "reverse_kl" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 8 bytes per vocabulary entry, 16 bytes beside.
constexpr int kTeam = 512, kBlock = 512;  // lanes of a row, threads of a sweep's block
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "reverse_kl", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of the logits, folds 1 value per token.
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
    double c0;        // temperature
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
    float r2 = 0.0f;  // the target's logit
    if (reads) r2 = at(row, target);
    const float v3 = 1.0f / x1;
    float r4 = 0.0f;  // max over the row
    float r5 = 0.0f;  // max over the row
    float r6 = 0.0f;  // max over the row
    if (reads) {
      const auto folded = fold<Max, Max, Max>(team, [&](auto z, auto z1) { return values(z * v3, z1 * v3, z); }, row, row1);
      r4 = folded.v[0];
      r5 = folded.v[1];
      r6 = folded.v[2];
    }
    float r11 = 1.0f;  // sum over the row
    float r12 = 1.0f;  // sum over the row
    float r13 = 1.0f;  // sum over the row
    float r14 = 1.0f;  // sum over the row
    float r15 = 1.0f;  // sum over the row
    float r16 = 1.0f;  // sum over the row
    if (reads) {
      const auto folded = fold<Sum, Sum, Sum, Sum, Sum, Sum>(team, [&](auto z, auto z1) { const auto v7 = (z * v3) - r4; const auto v8 = fast_exp_(v7); const auto b9 = z != -LOSSC_INFINITY; const auto v10 = (z1 * v3) - r5; return values(v8, select(b9, absorb_(v7, v8), 0.0f), select(b9, v8, 0.0f), select(b9, absorb_(v10, v8), 0.0f), fast_exp_(v10), fast_exp_(z - r6)); }, row, row1);
      r11 = folded.v[0];
      r12 = folded.v[1];
      r13 = folded.v[2];
      r14 = folded.v[3];
      r15 = folded.v[4];
      r16 = folded.v[5];
    }
    const float v17 = 1.0f / r11;
    const float v18 = log_(r11);
    const float v19 = (absorb_(v17, r12) - absorb_(r13, absorb_(v18, v17))) + absorb_(absorb_(-1.0f, v17), r14);
    const float v20 = log_(r15);
    const float v21 = select(x0 != 0.0f, x0 * (v19 + absorb_(r13, absorb_(v20, v17))), 0.0f);
    put(team, a.p5, t, v21);
    put(team, a.p6, t, logprob_(r2, r6, r16));
    flag_non_finite(a.p2, 1, t, v21);
    const float v25 = absorb_(x0, v17);
    const float v26 = absorb_(r13, v25);
    const float v27 = (absorb_(r12, v25) - absorb_(r13, absorb_(v17, absorb_(x0, v18)))) + absorb_(r14, absorb_(v17, absorb_(x0, -1.0f)));
    const float v28 = v27 + absorb_(r13, absorb_(v17, absorb_(x0, v20)));
    if (!reads) {
      fill_row(team, a.p7, t, a.vocab, 0.0f);
    } else if (!store_row(team, a.p7, t, target,
                          [&](auto z, auto z1) { const auto b22 = z != -LOSSC_INFINITY; const auto v23 = (z * v3) - r4; const auto v24 = fast_exp_(v23) * v17; const auto v29 = select(b22, absorb_(x0, (v23 - v18) - (((z1 * v3) - r5) - v20)), 0.0f) - v28; const auto v30 = (select(b22, absorb_(x0, v24), 0.0f) - absorb_(v26, v24)) + absorb_(v24, v29); return chain_(v30, v3); },
                          [&](auto z, auto z1) { const auto b31 = z != -LOSSC_INFINITY; const auto v32 = (z * v3) - r4; const auto v33 = fast_exp_(v32) * v17; const auto v34 = select(b31, absorb_(x0, (v32 - v18) - (((z1 * v3) - r5) - v20)), 0.0f) - v28; const auto v35 = (select(b31, absorb_(x0, v33), 0.0f) - absorb_(v26, v33)) + absorb_(v33, v34); return chain_(v35, v3); },
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
