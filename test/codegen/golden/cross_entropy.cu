// lossc, cuda: the loss "cross_entropy" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 16 bytes beside.
constexpr int kTeam = 512, kBlock = 512;  // lanes of a row, threads of a sweep's block
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "cross_entropy", one row of logits per token.
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
    float r1 = 0.0f;  // the target's logit
    if (reads) r1 = at(row, target);
    float r2 = 0.0f;  // max over the row
    if (reads) r2 = fold<Max>(team, [&](auto z) { return values(z); }, row).v[0];
    float r3 = 1.0f;  // sum over the row
    if (reads) r3 = fold<Sum>(team, [&](auto z) { return values(fast_exp_(z - r2)); }, row).v[0];
    const float v4 = logprob_(r1, r2, r3);
    const float v5 = select(x0 != 0.0f, -(x0 * v4), 0.0f);
    put(team, a.p4, t, v5);
    put(team, a.p5, t, v4);
    flag_non_finite(a.p2, 1, t, v5);
    const float v6 = -x0;
    const float v7 = 1.0f / r3;
    if (!reads || (v6 == 0.0f)) {
      fill_row(team, a.p6, t, a.vocab, 0.0f);
    } else if (!store_row(team, a.p6, t, target,
                          [&](auto z) { return chain_(x0, fast_exp_(z - r2) * v7); },
                          [&](auto z) { return chain_(v6, 1.0f - (fast_exp_(z - r2) * v7)); },
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
