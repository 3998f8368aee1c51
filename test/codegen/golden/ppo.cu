// lossc, cuda: the loss "ppo" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 24 bytes beside.
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "ppo", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of the logits, folds 1 value per token.
// Traffic per token: 4 bytes per vocabulary entry, 24 beside.
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
    const float* p4;  // logprobs
    const float* p5;  // advantages
    double c0;        // clip_low_threshold
    double c1;        // clip_high_threshold
    float* p6;        // a value per token
    float* p7;        // logprobs
    bf16* p8;         // gradient of logits
    index tokens;
    double* p9;       // a partial fold per chunk
    unsigned* p10;    // arrivals
    double* p11;      // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, index t) {
    const float x0 = load_or(a.p1, t, 1.0f);
    const bool reads = !(a.skip != 0 && x0 == 0.0f);
    const index target = load_target(a.p0, t, a.vocab, a.p2);
    const index place = row_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p3, place, a.vocab);
    const float x1 = load(a.p4, t);
    const float x2 = load(a.p5, t);
    const float x3 = float(a.c0);
    const float x4 = float(a.c1);
    float r5 = 0.0f;  // the target's logit
    if (reads) r5 = at(row, target);
    float r7 = 0.0f;  // max over the row
    float r8 = 1.0f;  // sum over the row
    if (reads) {
      const auto maxima = fold_part<Max>(team, [&](auto z) { return values(z); }, row);
      const float m6 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto z) { return values(exp_from_(z, m6)); }, row);
      const auto whole = meet<Scaled<0>>(team, maxima, sums);
      r7 = whole.v[0];
      r8 = whole.v[1];
    }
    const float v9 = logprob_(r5, r7, r8);
    const float v10 = exp_(v9 - x1);
    const float v11 = v10 * x2;
    const float v12 = clamp_(v10, x3, x4) * x2;
    const float v13 = select(x0 != 0.0f, -(x0 * min_(v11, v12)), 0.0f);
    put(team, a.p6, t, v13);
    put(team, a.p7, t, v9);
    flag_non_finite(a.p2, 1, t, v13);
    const float v14 = chain_(select(v11 == v12, -(x0 * 0.5f), -x0), x2);
    const float v15 = select((v10 >= x3) & (v10 <= x4), select(v12 > v11, 0.0f, v14), 0.0f) + select(v11 > v12, 0.0f, v14);
    const float v16 = chain_(v15, v10);
    const float v17 = 1.0f / r8;
    if (!reads || (v16 == 0.0f)) {
      fill_row(team, a.p8, place, a.vocab, 0.0f);
    } else if (!store_row(team, a.p8, place, a.vocab, target,
                          [&](auto z) { return -v16 * (exp_from_(z, r7) * v17); },
                          [&](auto z) { return v16 * (1.0f - (exp_from_(z, r7) * v17)); },
                          row)) {
      flag(a.p2, 1, t);
    }
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p6, a.p9, a.p10, a.p11);
  }
};

// ---- entry points ----
// k0: 8 blocks of 256 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 256, 256, 8, true, 2)

}  // namespace lossc
