// How far an entry lies below its row's maximum, where every part of the row has its own.

// (x - m) log2 e in one multiply-add; or (c · x - m) log2 e. What rounding takes from m · log2 e shifts every entry of the row alike: it leaves no trace in
// differences, nor in ratios of powers, and `excess_` says how much there is in the logarithm of one.
LOSSC_FN float exponent_(float x, float m) { return fma_(x, kLog2e, -(m * kLog2e)); }
LOSSC_FN float exponent_(float x, float m, float c) { return fma_(x, c * kLog2e, -(m * kLog2e)); }
LOSSC_FN double excess_(float m) { return double(exponent_(m, m)) * 0.69314718055994531; }
// What an exponent from one maximum is more than that from another.
LOSSC_FN float between_(float from, float to) { return from * kLog2e - to * kLog2e; }
