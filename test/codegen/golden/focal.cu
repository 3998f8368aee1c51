// lossc, cuda: the loss "focal" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 16 bytes beside.
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "focal", one row of logits per token.
// It folds the row in 2 phases, writes the gradient of the logits, folds 1 value per token.
// Traffic per token: 4 bytes per vocabulary entry, 16 beside.
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
    double c0;        // gamma
    float* p4;        // a value per token
    float* p5;        // logprobs
    bf16* p6;         // gradient of logits
    index tokens;
    double* p7;       // a partial fold per chunk
    unsigned* p8;     // arrivals
    double* p9;       // loss
  };
  template <class Team> LOSSC_FN static void row(const Args& a, const Team& team, index t) {
    const float x0 = load_or(a.p1, t, 1.0f);
    const bool reads = !(a.skip != 0 && x0 == 0.0f);
    const index target = load_target(a.p0, t, a.vocab, a.p2);
    const index place = row_of(a.rows, t, a.first);
    const auto row = open(team, reads, a.p3, place, a.vocab);
    const float x1 = float(a.c0);
    float r2 = 0.0f;  // the target's logit
    if (reads) r2 = at(row, target);
    float r4 = 0.0f;  // max over the row
    float r5 = 1.0f;  // sum over the row
    if (reads) {
      const auto maxima = fold_part<Max>(team, [&](auto z) { return values(z); }, row);
      const float m3 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto z) { return values(exp_from_(z, m3)); }, row);
      const auto whole = meet<Scaled<0>>(team, maxima, sums);
      r4 = whole.v[0];
      r5 = whole.v[1];
    }
    const float v6 = logprob_(r2, r4, r5);
    const float v7 = exp_(v6);
    const float v8 = 1.0f - v7;
    const float v9 = pow_(v8, x1);
    const float v10 = select(x0 != 0.0f, -(x0 * (v9 * v6)), 0.0f);
    put(team, a.p4, t, v10);
    put(team, a.p5, t, v6);
    flag_non_finite(a.p2, 1, t, v10);
    const float v11 = select(x1 == 0.0f, 0.0f, chain_(-chain_(x0, v6), x1 * pow_(v8, x1 - 1.0f)));
    const float v12 = chain_(-x0, v9) + chain_(-v11, v7);
    const float v13 = 1.0f / r5;
    if (!reads || (v12 == 0.0f)) {
      fill_row(team, a.p6, place, a.vocab, 0.0f);
    } else if (!store_row(team, a.p6, place, a.vocab, target,
                          [&](auto z) { return -v12 * (exp_from_(z, r4) * v13); },
                          [&](auto z) { return v12 * (1.0f - (exp_from_(z, r4) * v13)); },
                          row)) {
      flag(a.p2, 1, t);
    }
  }
  template <class Team> LOSSC_FN static void tails(const Args& a, const Team& team, index first, index count) {
    fold_tail<Sum>(team, Whole{a.tokens}, first, count, a.p4, a.p7, a.p8, a.p9);
  }
};

// ---- entry points ----
// k0: 8 blocks of 256 threads share a row, which stays in shared memory.
LOSSC_SWEEP(k0, K0, 256, 256, 8, true, 2)

}  // namespace lossc
