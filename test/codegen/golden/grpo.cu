// lossc, cuda: the loss "grpo" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 28 bytes beside.
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "grpo", one row of logits per token.
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
    double c0;        // kl_beta
    const float* p4;  // reference_logprobs
    const float* p5;  // logprobs
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
    const float x1 = float(a.c0);
    const float x2 = load(a.p4, t);
    const float x3 = load(a.p5, t);
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
    const float v11 = logprob_(r7, r9, r10);
    const float v12 = x2 - v11;
    const float v13 = exp_(v12);
    const float v14 = exp_(v11 - x3);
    const float v15 = v14 * x4;
    const float v16 = clamp_(v14, x5, x6) * x4;
    const float v17 = select(x0 != 0.0f, x0 * ((x1 * ((v13 - v12) - 1.0f)) - min_(v15, v16)), 0.0f);
    put(team, a.p7, t, v17);
    put(team, a.p8, t, v11);
    flag_non_finite(a.p2, 1, t, v17);
    const float v18 = chain_(x0, x1);
    const float v19 = chain_(select(v15 == v16, -(x0 * 0.5f), -x0), x4);
    const float v20 = select((v14 >= x5) & (v14 <= x6), select(v16 > v15, 0.0f, v19), 0.0f) + select(v15 > v16, 0.0f, v19);
    const float v21 = (v18 - chain_(v18, v13)) + chain_(v20, v14);
    const float v22 = 1.0f / r10;
    if (!reads || (v21 == 0.0f)) {
      fill_row(team, a.p9, place, a.vocab, 0.0f);
    } else if (!store_row(team, a.p9, place, a.vocab, target,
                          [&](auto z) { return -v21 * (exp_from_(z, r9) * v22); },
                          [&](auto z) { return v21 * (1.0f - (exp_from_(z, r9) * v22)); },
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
