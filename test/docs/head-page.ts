/** Writes docs/head.md: what it says in words, and a table of what each loss costs, made from the plans. */
import { compilePlan } from "../../codegen/compile.js";
import { headExplanation } from "../../codegen/explain/head.js";
import { builtins } from "../../losses/index.js";

const TEXT = `# The output head

Trainers have hidden states and an output matrix, and the logits are the largest thing in training: 8192 tokens × 128256 entries
are 2 GB in bf16, before their gradient. Any loss runs from hidden states directly, and then never holds all logits:

<!-- ts: declare const compiled: import("lossc").CompiledLoss, hidden: Float32Array, head: Float32Array, target_tokens: number[], lengths: number[], sum: Float32Array; -->
\`\`\`ts
const { loss, gradHidden, gradHead } = await compiled.forwardBackward({ lengths, hidden, head, target_tokens });

// The gradient of the head is added to a sum that lives longer than a call, a chunk takes 64 MB at most,
// and the gradient of the hidden states overwrites them.
await compiled.forwardBackward({ lengths, hidden, head, target_tokens }, {}, { gradHead: sum, maxBytes: 64e6, inPlace: true });
\`\`\`

\`hidden\` is token × hidden size and \`head\` vocabulary × hidden size, both row-major and of one dtype; the logits are their
product, in that dtype. The loss is the same definition and the same kernels. The head is a stage in front of the sweeps: it makes
the logits of a chunk of tokens, the sweep writes their gradient over them, and two more products take it on to the hidden states
and to the head.

## What it costs

A product takes tokens × hidden size × vocabulary multiplications. The number of products of a loss follows from the elements for which
its sweeps wait.

Memory beside inputs and gradients: a chunk's logits and hidden states, by default at most a tenth of the memory of all logits
(or 4 MiB, where that is more). On the CPU the products need up to 2 MiB a thread besides; of a large batch all of it stays below
an eighth. \`maxBytes\` sets the size of a chunk; a larger one makes larger products. A few numbers per token are kept beside.
`;

const REST = `
A loss takes three products where the elements for which a sweep waits lie in one chunk: always where it waits for nothing, else where each
sequence, group or batch fits. It takes four where they do not: the logits of a chunk are then made again for the second sweep. (A
loss with more sweeps takes one product more for each.)

## Rules

- **Weight 0.** With \`skipMasked\`, tokens of weight 0 are left out before the products: a batch that trains on a third of its
  tokens costs a third. Without it their logprobs are computed; their hidden states, NaN perhaps, reach no gradient.
- **A bias** of the vocabulary is a column of the head whose hidden entry is 1. Temperature, soft-capping and the like are
  expressions of \`policy.logits\`, as ever.
- **\`gradHead\`** is float32 or of the head's dtype. Within a call it is summed over chunks in memory of that dtype: one rounding a
  chunk. With bf16 heads ask for float32. Nothing is added where the call fails. As a call can fail until its last chunk, the sum
  of the call is gathered in memory of its own first; with \`nonFinite: "propagate"\`, targets in host memory and no \`signal\`
  nothing can fail, and it is added to directly.
- **Zero absorbs.** A hidden state that is not finite and whose token has no gradient, masked or behind a branch that is not
  taken, reaches none. The head itself must be finite: a bias of −∞ would make its entry one that is not there, but a product
  takes 0 · −∞, NaN, on to the hidden states, \`NON_FINITE\` on every device but \`reference\`. A bias of −1e4 does what is meant.
- **Products of finite numbers can be too large** for their dtype; that is \`NON_FINITE\` too, and names the token, or the entry of
  the head.
- **Bits.** The same call gives the same bits in every run. Libraries of matrix products compute a row in another order in
  products of other sizes, so a token's logprob may differ in its last bits between batches, as it does not from given logits.
- **Several devices.** A row's maximum, its sum and its target's entry are partial results, which the preludes bring to a common
  maximum and merge. A head whose vocabulary is split over devices has the same three numbers to combine, between the folds
  and the gradient of a sweep. lossc does not do that yet.

The training client uses the head for every policy whose \`forward\` gives \`{ hidden, head }\`: [training](training.md). In
\`lossc eval\` the keys are \`hidden_size\`, \`hidden\` and \`head\`, and \`grad_hidden\` and \`grad_head\` come out. \`lossc explain\` shows
the number of products of any loss, with the reasons.
`;

export function headPage(): string {
  const rows = Object.entries(builtins).map(([name, loss]) => {
    const { plan } = compilePlan({ loss, logits: "bf16" });
    const { products, productsCut, waitsFor } = headExplanation(plan);
    const count = products === productsCut ? String(products) : `${products} or ${productsCut}`;
    const waits = waitsFor === "token" ? "nothing" : waitsFor === "batch" ? "the batch" : `its ${waitsFor}`;
    return `| \`${name}\` | ${plan.sweeps} | ${waits} | ${count} | ${plan.bytes.perToken} |`;
  });
  const table = [
    "| loss | sweeps | a sweep waits for | products | bytes kept per token |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ];
  return `${TEXT}\n${table.join("\n")}\n${REST}`;
}
