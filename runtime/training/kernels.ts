/**
 * The steps of a policy that are no matrix product and no loss, written once in the prelude's primitives for every target. Each element owns what it
 * writes, so nothing is added atomically and the same input gives the same bits. The first field of the arguments is the number of elements.
 */
import type { ModuleSource } from "../devices/device.js";
import { addition } from "../head/kernels.js";

/** Rows that one run of a bias gradient adds up before it joins the total, so that float32 keeps its digits over long batches. */
const RUN = 64;

/** Squares that one element of the norm adds up. */
export const NORM_CHUNK = 256;

/** Independent partial sums of an element, so that additions do not wait for each other. */
const SUMS = 16;

/** Words of the status in which kernels flag an index that is out of range. They do not read at such an index. */
export const RANGE_STATUS = { gather: 0, gatherTransposed: 1 } as const;

const gather = `
// out[slot] = table[tokens[slot]], a vector of \`width\` numbers; zeros for a token that the table has no row for.
struct Gather {
  struct Args { index n; const int* tokens; const float* table; float* out; index width; index rows; unsigned* status; };
  LOSSC_FN static void element(const Args& a, index slot) {
    const index token = load(a.tokens, slot);
    const bool there = token >= 0 && token < a.rows;
    if (!there) flag(a.status, ${RANGE_STATUS.gather}, slot);
    const index from = token * a.width, to = slot * a.width;
    for (index j = 0; j < a.width; ++j) store(a.out, to + j, there ? load(a.table, from + j) : 0.0f);
  }
};`;

const gatherTransposed = `
// The transpose of Gather: gradient[token] += the sum of d[slot] over the slots that hold the token, listed in
// order[begin[token] .. begin[token + 1]). A list that leaves \`order\`, or has a slot without a vector in d, adds nothing.
struct GatherTransposed {
  struct Args {
    index n;
    const int* begin; const int* order; const float* d; float* gradient;
    index width; index slots; index vectors; unsigned* status;
  };
  LOSSC_FN static void element(const Args& a, index i) {
    const index token = i / a.width, j = i % a.width;
    const index begin = load(a.begin, token), end = load(a.begin, token + 1);
    bool there = begin >= 0 && end <= a.slots;
    float total = 0.0f;
    for (index first = begin; there && first < end; first += ${RUN}) {
      const index last = first + ${RUN} < end ? first + ${RUN} : end;
      float run = 0.0f;
      for (index s = first; there && s < last; ++s) {
        const index slot = load(a.order, s);
        there = slot >= 0 && slot < a.vectors;
        if (there) run = run + load(a.d, slot * a.width + j);
      }
      total = total + run;
    }
    if (there) store(a.gradient, i, load(a.gradient, i) + total);
    else flag(a.status, ${RANGE_STATUS.gatherTransposed}, token);
  }
};`;

const addBias = `
// x += bias, row by row.
struct AddBias {
  struct Args { index n; const float* bias; float* x; index width; };
  LOSSC_FN static void element(const Args& a, index i) {
    store(a.x, i, load(a.x, i) + load(a.bias, index(unsigned(i) % unsigned(a.width))));
  }
};`;

const biasTanh = `
// x = tanh(x + bias), row by row.
struct BiasTanh {
  struct Args { index n; const float* bias; float* x; index width; };
  LOSSC_FN static void element(const Args& a, index i) {
    store(a.x, i, tanh_(load(a.x, i) + load(a.bias, index(unsigned(i) % unsigned(a.width)))));
  }
};`;

const tanhBackward = `
// d *= 1 - y², with y = tanh of what went in.
struct TanhBackward {
  struct Args { index n; const float* y; float* d; };
  LOSSC_FN static void element(const Args& a, index i) {
    const float y = load(a.y, i);
    store(a.d, i, load(a.d, i) * (1.0f - y * y));
  }
};`;

const biasGradient = `
// gradient[j] += the sum of column j of d.
struct BiasGradient {
  struct Args { index n; const float* d; float* gradient; index rows; index width; };
  LOSSC_FN static void element(const Args& a, index j) {
    float total = 0.0f;
    for (index first = 0; first < a.rows; first += ${RUN}) {
      const index last = first + ${RUN} < a.rows ? first + ${RUN} : a.rows;
      float run = 0.0f;
      for (index t = first; t < last; ++t) run = run + load(a.d, t * a.width + j);
      total = total + run;
    }
    store(a.gradient, j, load(a.gradient, j) + total);
  }
};`;

const adam = `
// One step of Adam with the bias corrections folded into stepSize and squareScale. The gradient is zero afterwards.
struct Adam {
  struct Args {
    index n;
    float* weight; float* gradient; float* mean; float* square;
    double beta1; double beta2; double eps; double decay; double stepSize; double squareScale; double gradientScale;
  };
  LOSSC_FN static void element(const Args& a, index i) {
    // The scale of a very long gradient is below what float32 holds to all its digits.
    const float g = float(double(load(a.gradient, i)) * a.gradientScale);
    const float mean = load(a.mean, i) * float(a.beta1) + g * float(1.0 - a.beta1);
    const float square = load(a.square, i) * float(a.beta2) + g * g * float(1.0 - a.beta2);
    const float step = float(a.stepSize) * mean / (sqrt_(square) * float(a.squareScale) + float(a.eps));
    store(a.weight, i, load(a.weight, i) * float(a.decay) - step);
    store(a.mean, i, mean);
    store(a.square, i, square);
    store(a.gradient, i, 0.0f);
  }
};`;

const squares = (name: string, T: "float" | "double") => `
// out[i] = the sum of the squares of chunk i.
struct ${name} {
  struct Args { index n; const float* x; ${T}* out; index length; };
  LOSSC_FN static void element(const Args& a, index i) {
    const index first = i * ${NORM_CHUNK}, last = first + ${NORM_CHUNK} < a.length ? first + ${NORM_CHUNK} : a.length;
    ${T} totals[${SUMS}] = {};
    index j = first;
    for (; j + ${SUMS} <= last; j += ${SUMS})
      for (int s = 0; s < ${SUMS}; ++s) totals[s] = totals[s] + square(a, j + s);
    ${T} total = 0;
    for (; j < last; ++j) total = total + square(a, j);
    for (int s = 0; s < ${SUMS}; ++s) total = total + totals[s];
    store(a.out, i, total);
  }
  LOSSC_FN static ${T} square(const Args& a, index j) {
    const ${T} x = ${T}(load(a.x, j));
    return x * x;
  }
};`;

const add = addition("float");

const BODIES = {
  gather,
  gatherTransposed,
  addBias,
  biasTanh,
  tanhBackward,
  biasGradient,
  adam,
  squares: squares("Squares", "float"),
  add,
  squares64: squares("Squares64", "double"),
};

export type TrainingKernel = keyof typeof BODIES;

export const TRAINING_MODULE: ModuleSource = {
  comment: "Building blocks of policies: embeddings, biases, tanh, Adam.",
  kernels: Object.entries(BODIES).map(([id, body]) => ({ id, body })),
};
