// lossc, cuda: the loss "importance_sampling" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 24 bytes beside.
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "importance_sampling", one row of logits per token.
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
    float r3 = 0.0f;  // the target's logit
    if (reads) r3 = at(row, target);
    float r5 = 0.0f;  // max over the row
    float r6 = 1.0f;  // sum over the row
    if (reads) {
      const auto maxima = fold_part<Max>(team, [&](auto z) { return values(z); }, row);
      const float m4 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto z) { return values(exp_from_(z, m4)); }, row);
      const auto whole = meet<Scaled<0>>(team, maxima, sums);
      r5 = whole.v[0];
      r6 = whole.v[1];
    }
    const float v7 = logprob_(r3, r5, r6);
    const float v8 = exp_(v7 - x1);
    const float v9 = select(x0 != 0.0f, -(x0 * (v8 * x2)), 0.0f);
    put(team, a.p6, t, v9);
    put(team, a.p7, t, v7);
    flag_non_finite(a.p2, 1, t, v9);
    const float v10 = chain_(-chain_(x0, x2), v8);
    const float v11 = 1.0f / r6;
    if (!reads || (v10 == 0.0f)) {
      fill_row(team, a.p8, place, a.vocab, 0.0f);
    } else if (!store_row(team, a.p8, place, a.vocab, target,
                          [&](auto z) { return -v10 * (exp_from_(z, r5) * v11); },
                          [&](auto z) { return v10 * (1.0f - (exp_from_(z, r5) * v11)); },
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
