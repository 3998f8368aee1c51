// lossc, cuda: the loss "ppo_tis" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 28 bytes beside.
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "ppo_tis", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of the logits, folds 1 value per token.
// Traffic per token: 4 bytes per vocabulary entry, 28 beside.
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
    const float* p4;  // old_logprobs
    const float* p5;  // logprobs
    double c0;        // tis_cap
    const float* p6;  // advantages
    double c1;        // clip_low_threshold
    double c2;        // clip_high_threshold
    float* p7;        // a value per token
    float* p8;        // logprobs
    bf16* p9;         // gradient of logits
    index tokens;
    double* p10;      // a partial fold per chunk
    unsigned* p11;    // arrivals
    double* p12;      // loss
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
    const float x4 = load(a.p6, t);
    const float x5 = float(a.c1);
    const float x6 = float(a.c2);
    float r7 = 0.0f;  // the target's logit
    if (reads) r7 = at(row, target);
    float r9 = 0.0f;  // max over the row
    float r10 = 1.0f;  // sum over the row
    if (reads) {
      const auto maxima = fold_part<Max>(team, [&](auto z) { return values(z); }, row);
      const float m8 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto z) { return values(exp_from_(z, m8)); }, row);
      const auto whole = meet<Scaled<0>>(team, maxima, sums);
      r9 = whole.v[0];
      r10 = whole.v[1];
    }
    const float v11 = min_(exp_(x1 - x2), x3);
    const float v12 = logprob_(r7, r9, r10);
    const float v13 = exp_(v12 - x1);
    const float v14 = v13 * x4;
    const float v15 = clamp_(v13, x5, x6) * x4;
    const float v16 = select(x0 != 0.0f, -(x0 * (v11 * min_(v14, v15))), 0.0f);
    put(team, a.p7, t, v16);
    put(team, a.p8, t, v12);
    flag_non_finite(a.p2, 1, t, v16);
    const float v17 = chain_(-x0, v11);
    const float v18 = chain_(select(v14 == v15, v17 * 0.5f, v17), x4);
    const float v19 = select((v13 >= x5) & (v13 <= x6), select(v15 > v14, 0.0f, v18), 0.0f) + select(v14 > v15, 0.0f, v18);
    const float v20 = chain_(v19, v13);
    const float v21 = 1.0f / r10;
    if (!reads || (v20 == 0.0f)) {
      fill_row(team, a.p9, place, a.vocab, 0.0f);
    } else if (!store_row(team, a.p9, place, a.vocab, target,
                          [&](auto z) { return -v20 * (exp_from_(z, r9) * v21); },
                          [&](auto z) { return v20 * (1.0f - (exp_from_(z, r9) * v21)); },
                          row)) {
      flag(a.p2, 1, t);
    }
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p7, a.p10, a.p11, a.p12);
  }
};

// ---- entry points ----
// k0: 8 blocks of 256 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 256, 256, 8, true, 2)

}  // namespace lossc
