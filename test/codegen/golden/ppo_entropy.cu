// lossc, cuda: the loss "ppo_entropy" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 24 bytes beside.
constexpr int kTeam = 512, kBlock = 512;  // lanes of a row, threads of a sweep's block
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "ppo_entropy", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of the logits, folds 1 value per token.
// Traffic per token: 4 bytes per vocabulary entry, 24 beside.
struct K0 {
  struct Args {
    index n;          // tokens
    const float* p1;  // weights, 1 where not given
    index skip;       // not 0: rows of weight 0 are not read
    const int* p0;    // target_tokens
    index vocab;      // entries of a row
    unsigned* p2;     // status
    const bf16* p3;   // logits
    const float* p4;  // logprobs
    const float* p5;  // advantages
    double c0;        // clip_low_threshold
    double c1;        // clip_high_threshold
    double c2;        // entropy_coefficient
    float* p6;        // a value per token
    float* p7;        // logprobs
    bf16* p8;         // gradient of logits
    double* p9;       // a partial fold per chunk
    unsigned* p10;    // arrivals
    double* p11;      // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, index t) {
    const float x0 = load_or(a.p1, t, 1.0f);
    const bool reads = !(a.skip != 0 && x0 == 0.0f);
    const index target = load_target(a.p0, t, a.vocab, a.p2);
    const Row<logit> row(a.p3, t, a.vocab);
    const float x1 = load(a.p4, t);
    const float x2 = load(a.p5, t);
    const float x3 = float(a.c0);
    const float x4 = float(a.c1);
    const float x5 = float(a.c2);
    float r6 = 0.0f;  // the target's logit
    if (reads) r6 = at(row, target);
    float r7 = 0.0f;  // max over the row
    if (reads) r7 = fold<Max>(team, [&](auto z) { return values(z); }, row).v[0];
    float r10 = 1.0f;  // sum over the row
    float r11 = 1.0f;  // sum over the row
    if (reads) {
      const auto folded = fold<Sum, Sum>(team, [&](auto z) { const auto v8 = z - r7; const auto v9 = fast_exp_(v8); return values(v9, absorb_(v8, v9)); }, row);
      r10 = folded.v[0];
      r11 = folded.v[1];
    }
    const float v12 = logprob_(r6, r7, r10);
    const float v13 = exp_(v12 - x1);
    const float v14 = v13 * x2;
    const float v15 = clamp_(v13, x3, x4) * x2;
    const float v16 = 1.0f / r10;
    const float v17 = log_(r10);
    const float v18 = (-min_(v14, v15)) - (x5 * (absorb_(r10, absorb_(v16, v17)) - absorb_(v16, r11)));
    const float v19 = select(x0 != 0.0f, x0 * v18, 0.0f);
    put(team, a.p6, t, v19);
    put(team, a.p7, t, v12);
    flag_non_finite(a.p2, 1, t, v19);
    const float v20 = -x0;
    const float v21 = chain_(v20, x5);
    const float v22 = absorb_(v16, v21);
    const float v23 = absorb_(r10, v22);
    const float v26 = absorb_(r10, absorb_(v16, absorb_(v17, v21))) - absorb_(r11, v22);
    const float v28 = chain_(select(v14 == v15, -(x0 * 0.5f), v20), x2);
    const float v29 = select((v13 >= x3) & (v13 <= x4), select(v15 > v14, 0.0f, v28), 0.0f) + select(v14 > v15, 0.0f, v28);
    const float v30 = chain_(v29, v13);
    if (!reads) {
      fill_row(team, a.p8, t, a.vocab, 0.0f);
    } else if (!store_row(team, a.p8, t, target,
                          [&](auto z) { const auto v24 = z - r7; const auto v25 = fast_exp_(v24) * v16; const auto v27 = absorb_(v25, select(z != -LOSSC_INFINITY, -absorb_(v21, v24 - v17), 0.0f) - v26); return ((absorb_(v23, v25) - absorb_(v21, v25)) + v27) + chain_(-v30, v25); },
                          [&](auto z) { const auto v31 = z - r7; const auto v32 = fast_exp_(v31) * v16; const auto v33 = absorb_(v32, select(z != -LOSSC_INFINITY, -absorb_(v21, v31 - v17), 0.0f) - v26); const auto v34 = ((absorb_(v23, v32) - absorb_(v21, v32)) + v33) + chain_(v30, 1.0f - v32); return v34; },
                          row)) {
      flag(a.p2, 1, t);
    }
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.n}, first, count, a.p6, a.p9, a.p10, a.p11);
  }
};
LOSSC_SWEEP(k0, K0)

}  // namespace lossc
