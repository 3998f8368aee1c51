// lossc, cuda: the loss "ppo_entropy" and its gradient.
// bf16 logits in; loss, logprobs and the gradient of the logits out, in 1 sweep and 0 steps.
// A token moves 4 bytes per vocabulary entry, 24 bytes beside.
constexpr int kTeam = 512, kBlock = 512;  // lanes of a row, threads of a sweep's block
// ---- prelude ----

// ---- kernels ----
using logit = bf16;

// k0: sweep 1 of 1 of "ppo_entropy", one row of logits per token.
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
    double c2;        // entropy_coefficient
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
    float r10 = 1.0f;  // sum over the row
    float r11 = 1.0f;  // sum over the row
    if (reads) {
      const auto folded = fold<Sum, Sum>(team, [&](auto z) { const auto v8 = z - r7; const auto v9 = fast_exp_(v8); return values(v9, absorb_(v8, v9)); }, row);
      r10 = folded.v[0];
      r11 = folded.v[1];
    }
    const float v12 = logprob_(r6, r7, r10);
    const float v13 = exp_(v12 - x1);
    const float v14 = v13 * x2;
    const float v15 = clamp_(v13, x3, x4) * x2;
    const float v16 = log_(r10);
    const float v17 = 1.0f / r10;
    const float v18 = select(x0 != 0.0f, x0 * ((-min_(v14, v15)) - (x5 * (((v16 * v17) * r10) - (v17 * r11)))), 0.0f);
    put(team, a.p6, t, v18);
    put(team, a.p7, t, v12);
    flag_non_finite(a.p2, 1, t, v18);
    const float v19 = -x0;
    const float v20 = chain_(v19, x5);
    const float v23 = -chain_(v20, v17);
    const float v24 = chain_(v23, r10);
    const float v25 = chain_(v23, r11) + chain_(-chain_(chain_(-v20, v16), v17), r10);
    const float v27 = chain_(select(v14 == v15, -(x0 * 0.5f), v19), x2);
    const float v28 = select((v13 >= x3) & (v13 <= x4), select(v15 > v14, 0.0f, v27), 0.0f) + select(v14 > v15, 0.0f, v27);
    const float v29 = chain_(v28, v13);
    if (!reads) {
      fill_row(team, a.p8, t, a.vocab, 0.0f);
    } else if (!store_row(team, a.p8, t, target,
                          [&](auto z) { const auto v21 = z - r7; const auto v22 = fast_exp_(v21) * v17; const auto v26 = absorb_(v22, select(z != -LOSSC_INFINITY, -chain_(v20, v21 - v16), 0.0f) - v25); return (((-chain_(v20, v22)) - chain_(v24, v22)) + v26) + chain_(-v29, v22); },
                          [&](auto z) { const auto v30 = z - r7; const auto v31 = fast_exp_(v30) * v17; const auto v32 = absorb_(v31, select(z != -LOSSC_INFINITY, -chain_(v20, v30 - v16), 0.0f) - v25); const auto v33 = (((-chain_(v20, v31)) - chain_(v24, v31)) + v32) + chain_(v29, 1.0f - v31); return v33; },
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
