// Functions of the table of ops, by what the CPU makes of them. Generated from dsl/ops by codegen/emit/functions.ts.
#pragma once

namespace lossc {

// Functions of one number, which are called for a packet lane by lane.
#define LOSSC_EACH_OF_NUMBERS(EACH) \
  EACH(abs_) \
  EACH(erf_) \
  EACH(expm1_) \
  EACH(floor_) \
  EACH(log1mexp_) \
  EACH(log1p_) \
  EACH(log_sigmoid_) \
  EACH(sigmoid_) \
  EACH(sign_) \
  EACH(softplus_) \
  EACH(sqrt_) \
  EACH(tanh_)

// Functions of packets, which are lifted to values per row.
#define LOSSC_EACH_OF_PACKETS(EACH) \
  EACH(abs_) \
  EACH(erf_) \
  EACH(exp2_) \
  EACH(exp_) \
  EACH(expm1_) \
  EACH(exponent_) \
  EACH(fast_exp_) \
  EACH(floor_) \
  EACH(is_finite_) \
  EACH(log1mexp_) \
  EACH(log1p_) \
  EACH(log_) \
  EACH(log_sigmoid_) \
  EACH(max_) \
  EACH(min_) \
  EACH(pow_) \
  EACH(select) \
  EACH(sigmoid_) \
  EACH(sign_) \
  EACH(softplus_) \
  EACH(sqrt_) \
  EACH(tanh_)

}  // namespace lossc
