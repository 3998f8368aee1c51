// Folds over tokens, sequences and groups: the team that stores the last value of a segment folds the segment. The tree is fixed (chunks of kChunk
// elements from the segment's start, then the chunks) and its sums are float64, so that the result depends on neither the order nor the number of
// teams.
#pragma once

#include "base.h"
#include "constants.h"

namespace lossc {

struct Whole {  // one segment: the batch
  index elements;
  LOSSC_FN index segment(index) const { return 0; }
  LOSSC_FN index begin(index) const { return 0; }
  LOSSC_FN index end(index) const { return elements; }
  LOSSC_FN index first_chunk(index s) const { return s ? (elements + kChunk - 1) / kChunk : 0; }
  LOSSC_FN index segments() const { return 1; }
};
struct Runs {  // consecutive runs: the tokens of sequences, the sequences of groups
  index count;
  const int *of, *starts, *chunks;
  LOSSC_FN index segment(index i) const { return read(of, i); }
  LOSSC_FN index begin(index s) const { return read(starts, s); }
  LOSSC_FN index end(index s) const { return read(starts, s + 1); }
  LOSSC_FN index first_chunk(index s) const { return read(chunks, s); }
  LOSSC_FN index segments() const { return count; }
};

// `partials` has one element per chunk; `counters` has one per chunk and, behind these, one per segment.
template <class F, class Team, class Segments>
LOSSC_FN void fold_tail(const Team& team, const Segments& segments, index first, index count, const float* values, double* partials,
                        unsigned* counters, double* results) {
  const index all_chunks = segments.first_chunk(segments.segments());
  for (index i = first; i < first + count;) {
    const index s = segments.segment(i), begin = segments.begin(s), end = segments.end(s);
    const index number = (i - begin) / kChunk, chunk_begin = begin + number * kChunk;
    const index chunk_end = chunk_begin + kChunk < end ? chunk_begin + kChunk : end;
    const index stop = first + count < chunk_end ? first + count : chunk_end;
    const index base = segments.first_chunk(s), chunks = segments.first_chunk(s + 1) - base;
    if (team.arrive(counters + base + number, stop - i, chunk_end - chunk_begin)) {
      const double partial = team.template fold_run<F>(values, chunk_begin, chunk_end);
      if (chunks == 1) {
        put(team, results, s, partial);
      } else {
        put(team, partials, base + number, partial);
        if (team.arrive(counters + all_chunks + s, 1, chunks)) put(team, results, s, team.template fold_run<F>(partials, base, base + chunks));
      }
    }
    i = stop;
  }
}

// Memory of one of many folds, which share one function: a compiler's time grows with the code.
struct FoldPlaces {
  const float* values;
  double* partials;
  unsigned* counters;
  double* results;
};
template <class F, class Team, class Segments>
static LOSSC_APART void fold_tails(const Team& team, const Segments& segments, index first, index count, const FoldPlaces* folds, int number) {
  LOSSC_UNROLL(1)
  for (int i = 0; i < number; ++i)
    fold_tail<F>(team, segments, first, count, folds[i].values, folds[i].partials, folds[i].counters, folds[i].results);
}
template <class F, class Team, class Segments, int N>
LOSSC_FN void fold_tails(const Team& team, const Segments& segments, index first, index count, const FoldPlaces (&folds)[N]) {
  fold_tails<F>(team, segments, first, count, folds, N);
}

}  // namespace lossc
