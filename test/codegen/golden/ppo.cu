// lossc, cuda: the loss "ppo" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 24 bytes beside.
constexpr int kTeam = 512, kBlock = 512;  // lanes of a row, threads of a sweep's block
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "ppo", one row of logits per token.
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
    float r5 = 0.0f;  // the target's logit
    if (reads) r5 = at(row, target);
    float r6 = 0.0f;  // max over the row
    if (reads) r6 = fold<Max>(team, [&](auto z) { return values(z); }, row).v[0];
    float r7 = 1.0f;  // sum over the row
    if (reads) r7 = fold<Sum>(team, [&](auto z) { return values(fast_exp_(z - r6)); }, row).v[0];
    const float v8 = logprob_(r5, r6, r7);
    const float v9 = exp_(v8 - x1);
    const float v10 = v9 * x2;
    const float v11 = clamp_(v9, x3, x4) * x2;
    const float v12 = select(x0 != 0.0f, -(x0 * min_(v10, v11)), 0.0f);
    put(team, a.p6, t, v12);
    put(team, a.p7, t, v8);
    flag_non_finite(a.p2, 1, t, v12);
    const float v13 = chain_(select(v10 == v11, -(x0 * 0.5f), -x0), x2);
    const float v14 = select((v9 >= x3) & (v9 <= x4), select(v11 > v10, 0.0f, v13), 0.0f) + select(v10 > v11, 0.0f, v13);
    const float v15 = chain_(v14, v9);
    const float v16 = 1.0f / r7;
    if (!reads || (v15 == 0.0f)) {
      fill_row(team, a.p8, t, a.vocab, 0.0f);
    } else if (!store_row(team, a.p8, t, target,
                          [&](auto z) { return chain_(-v15, fast_exp_(z - r6) * v16); },
                          [&](auto z) { return chain_(v15, 1.0f - (fast_exp_(z - r6) * v16)); },
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
