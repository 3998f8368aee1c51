// lossc, cuda: the loss "cross_entropy_z" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 16 bytes beside.
constexpr int kTeam = 512, kBlock = 512;  // lanes of a row, threads of a sweep's block
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "cross_entropy_z", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of the logits, folds 1 value per token.
// Traffic per token: 4 bytes per vocabulary entry, 16 beside.
struct K0 {
  struct Args {
    index n;          // tokens
    const float* p1;  // weights, 1 where not given
    index skip;       // not 0: rows of weight 0 are not read
    const int* p0;    // target_tokens
    index vocab;      // entries of a row
    unsigned* p2;     // status
    const bf16* p3;   // logits
    double c0;        // z_coefficient
    float* p4;        // a value per token
    float* p5;        // logprobs
    bf16* p6;         // gradient of logits
    double* p7;       // a partial fold per chunk
    unsigned* p8;     // arrivals
    double* p9;       // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, index t) {
    const float x0 = load_or(a.p1, t, 1.0f);
    const bool reads = !(a.skip != 0 && x0 == 0.0f);
    const index target = load_target(a.p0, t, a.vocab, a.p2);
    const Row<logit> row(a.p3, t, a.vocab);
    const float x1 = float(a.c0);
    float r2 = 0.0f;  // the target's logit
    if (reads) r2 = at(row, target);
    float r3 = 0.0f;  // max over the row
    if (reads) r3 = fold<Max>(team, [&](auto z) { return values(z); }, row).v[0];
    float r4 = 1.0f;  // sum over the row
    if (reads) r4 = fold<Sum>(team, [&](auto z) { return values(fast_exp_(z - r3)); }, row).v[0];
    const float v5 = r3 + log_(r4);
    const float v6 = logprob_(r2, r3, r4);
    const float v7 = select(x0 != 0.0f, x0 * ((x1 * (v5 * v5)) - v6), 0.0f);
    put(team, a.p4, t, v7);
    put(team, a.p5, t, v6);
    flag_non_finite(a.p2, 1, t, v7);
    const float v8 = chain_(chain_(x0, x1), 2.0f * v5);
    const float v9 = -x0;
    const float v10 = 1.0f / r4;
    if (!reads || (v8 == 0.0f && v9 == 0.0f)) {
      fill_row(team, a.p6, t, a.vocab, 0.0f);
    } else if (!store_row(team, a.p6, t, target,
                          [&](auto z) { const auto v11 = fast_exp_(z - r3) * v10; return chain_(v8, v11) + chain_(x0, v11); },
                          [&](auto z) { const auto v12 = fast_exp_(z - r3) * v10; return chain_(v8, v12) + chain_(v9, 1.0f - v12); },
                          row)) {
      flag(a.p2, 1, t);
    }
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.n}, first, count, a.p4, a.p7, a.p8, a.p9);
  }
};
LOSSC_SWEEP(k0, K0)

}  // namespace lossc
