// lossc, cuda: the loss "ppo_dual_clip" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 24 bytes beside.
constexpr int kTeam = 512, kBlock = 512;  // lanes of a row, threads of a sweep's block
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "ppo_dual_clip", one row of logits per token.
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
    const float* p4;  // advantages
    const float* p5;  // logprobs
    double c0;        // clip_low_threshold
    double c1;        // clip_high_threshold
    double c2;        // dual_clip
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
    float r8 = 1.0f;  // sum over the row
    if (reads) r8 = fold<Sum>(team, [&](auto z) { return values(fast_exp_(z - r7)); }, row).v[0];
    const bool b9 = x1 < 0.0f;
    const float v10 = logprob_(r6, r7, r8);
    const float v11 = exp_(v10 - x2);
    const float v12 = v11 * x1;
    const float v13 = clamp_(v11, x3, x4) * x1;
    const float v14 = -min_(v12, v13);
    const float v15 = -x5 * x1;
    const float v16 = select(x0 != 0.0f, x0 * select(b9, min_(v14, v15), v14), 0.0f);
    put(team, a.p6, t, v16);
    put(team, a.p7, t, v10);
    flag_non_finite(a.p2, 1, t, v16);
    const float v17 = select(b9, x0, 0.0f);
    const float v18 = select(b9, 0.0f, x0) + select(v14 > v15, 0.0f, select(v14 == v15, v17 * 0.5f, v17));
    const float v19 = chain_(select(v12 == v13, -(v18 * 0.5f), -v18), x1);
    const float v20 = select((v11 >= x3) & (v11 <= x4), select(v13 > v12, 0.0f, v19), 0.0f) + select(v12 > v13, 0.0f, v19);
    const float v21 = chain_(v20, v11);
    const float v22 = 1.0f / r8;
    if (!reads || (v21 == 0.0f)) {
      fill_row(team, a.p8, t, a.vocab, 0.0f);
    } else if (!store_row(team, a.p8, t, target,
                          [&](auto z) { return chain_(-v21, fast_exp_(z - r7) * v22); },
                          [&](auto z) { return chain_(v21, 1.0f - (fast_exp_(z - r7) * v22)); },
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
