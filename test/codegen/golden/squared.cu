// lossc, cuda: the loss "sum of squared logprobs" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 16 bytes beside.
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "sum of squared logprobs", one row of logits per token.
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
    float r1 = 0.0f;  // the target's logit
    if (reads) r1 = at(row, target);
    float r3 = 0.0f;  // max over the row
    float r4 = 1.0f;  // sum over the row
    if (reads) {
      const auto maxima = fold_part<Max>(team, [&](auto z) { return values(z); }, row);
      const float m2 = base_(team, maxima.v[0]);
      const auto sums = fold_part<Sum>(team, [&](auto z) { return values(exp_from_(z, m2)); }, row);
      const auto whole = meet<Scaled<0>>(team, maxima, sums);
      r3 = whole.v[0];
      r4 = whole.v[1];
    }
    const bool b5 = x0 != 0.0f;
    const float v6 = logprob_(r1, r3, r4);
    put(team, a.p4, t, select(b5, v6 * v6, 0.0f));
    put(team, a.p5, t, v6);
    const float v7 = 2.0f * v6;
    const float v8 = 1.0f / r4;
    if (!reads || (v7 == 0.0f)) {
      fill_row(team, a.p6, place, a.vocab, 0.0f);
    } else if (!store_row(team, a.p6, place, a.vocab, target,
                          [&](auto z) { return select(b5, -v7 * (exp_from_(z, r3) * v8), 0.0f); },
                          [&](auto z) { return select(b5, v7 * (1.0f - (exp_from_(z, r3) * v8)), 0.0f); },
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
