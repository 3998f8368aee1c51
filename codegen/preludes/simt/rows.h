// Rows of a team, in packets that are aligned to the global element index: opened, and visited packet by packet.
#pragma once

#include "../common/constants.h"
#include "teams.h"

namespace lossc {

LOSSC_FN unsigned min_of(unsigned a, unsigned b) { return a < b ? a : b; }

template <class T> constexpr int kPacket = kPacketBytes / sizeof(T);
template <class T, int W> struct alignas(W * sizeof(T) < kPacketBytes ? W * sizeof(T) : kPacketBytes) Packet { T v[W]; };

// A part's run of a row's entries, in packets of W. Entries are counted by int, which takes half the registers of an index.
template <class T, int W, bool LEAF>
struct Row {
  static constexpr int kWidth = W;
  static constexpr bool kIsLeaf = LEAF;
  // A packet that is wider than an access lies in pieces; pieces that lanes read at the same time lie side by side.
  static constexpr int kBytes = W * sizeof(T), kPieces = kBytes > kPacketBytes ? kBytes / kPacketBytes : 1, kPieceWidth = W / kPieces;
  using Piece = Packet<T, kPieceWidth>;
  const T* first;  // entry 0 of the row
  int begin, end;  // the part's run
  int skew;        // entries of the run's first packet that come before it
  int rounds;      // packets of a lane, at most
  int packets;     // this lane's
  Piece* kept;  // the lane's first; a piece lies beside those that the other lanes read at the same time
  bool torn = false;  // a row beside the leaf whose packets, cut where those of the leaf are, lie across boundaries in memory

  // The place of a piece of the lane's packet k.
  template <class Team> LOSSC_FN Piece* piece(const Team&, int k, int which) const { return kept + (k * kPieces + which) * Team::kThreads; }
  // The first entry of the run's first packet.
  LOSSC_FN int base() const { return begin - skew; }
  LOSSC_FN bool whole(int e) const { return e >= begin && e + W <= end && (LEAF || !torn); }
  LOSSC_FN bool holds(int e) const { return e >= begin && e < end; }
  // Beyond the run it is -inf, which changes neither a maximum nor a fold of the leaf.
  LOSSC_FN T entry(int e) const {
    T x;
    narrow(-LOSSC_INFINITY, x);
    return holds(e) ? read(first, e) : x;
  }
  template <int WIDTH> LOSSC_FN Packet<T, WIDTH> gather(int e) const {
    Packet<T, WIDTH> p;
    for (int i = 0; i < WIDTH; ++i) p.v[i] = entry(e + i);
    return p;
  }
};
template <class T, int W, bool LEAF> LOSSC_FN float at(const Row<T, W, LEAF>& row, index i) { return load(row.first, i); }

template <class Team, int W, bool LEAF, class T>
LOSSC_FN auto run_of(const Team& team, const T* p, index place, index vocab) {
  // Unsigned, so that a division by a power of two is a shift. Parts of a row begin where lines of the cache do, if the row does.
  constexpr unsigned kWidth = W, kStep = Team::kPart * W, kParts = Team::kParts, kUnit = kParts > 1 ? kLinePackets * kWidth : kWidth;
  const unsigned count = unsigned(vocab), share = ((count + kParts - 1) / kParts + kUnit - 1) / kUnit * kUnit;
  Row<T, W, LEAF> row;
  row.first = p + place * vocab;
  row.begin = int(min_of(share * unsigned(team.part()), count));
  row.end = int(min_of(unsigned(row.begin) + share, count));
  row.skew = int(unsigned(place * vocab) % kWidth);
  row.rounds = int((share + (count % kWidth ? kWidth : 0) + kStep - 1) / kStep);
  const int left = row.end - row.base() - team.lane() * W;
  row.packets = left > 0 ? int((unsigned(left) + kStep - 1) / kStep) : 0;
  return row;
}

// Calls visit(first entry, number) for each of a lane's packets.
template <int UNROLL, class Team, class Row, class Visit> LOSSC_FN void each_packet(const Team& team, const Row& row, const Visit& visit) {
  constexpr int W = Row::kWidth, kStep = Team::kPart * W;
  int k = 0, e = row.base() + team.lane() * W;
  if constexpr (UNROLL > 1) {
    LOSSC_UNROLL(1)
    for (; k + UNROLL <= row.packets; k += UNROLL, e += UNROLL * kStep)
      for (int i = 0; i < UNROLL; ++i) visit(e + i * kStep, k + i);
  }
  LOSSC_UNROLL(1)
  for (; k < row.packets; ++k, e += kStep) visit(e, k);
}
// The same for packets that lie in the run as a whole. They are visited with their place in `p`: an increment costs less than an address computed
// anew.
template <int UNROLL, class Team, class Row, class T, class Visit> LOSSC_FN void each_whole(const Team& team, const Row& row, T* p, const Visit& visit) {
  constexpr int W = Row::kWidth, kStep = Team::kPart * W;
  int k = row.skew != 0 && team.lane() == 0;
  int left = row.end - row.base() - (k * Team::kPart + team.lane() + 1) * W;
  p += row.base() + (k * Team::kPart + team.lane()) * W;
  if constexpr (UNROLL > 1) {
    LOSSC_UNROLL(1)
    for (; left >= (UNROLL - 1) * kStep; left -= UNROLL * kStep, k += UNROLL, p += UNROLL * kStep)
      for (int i = 0; i < UNROLL; ++i) visit(p + i * kStep, k + i);
  }
  LOSSC_UNROLL(1)
  for (; left >= 0; left -= kStep, ++k, p += kStep) visit(p, k);
}
// The same for the other packets: the run's first and last at most, or all of a torn row.
template <class Team, class Row, class Visit> LOSSC_FN void each_cut(const Team& team, const Row& row, const Visit& visit) {
  constexpr int W = Row::kWidth;
  const int last = (row.end - row.base()) / W;
  int p = row.torn || (row.skew != 0 && team.lane() == 0) ? team.lane() : last;
  LOSSC_UNROLL(1)
  while (row.base() + p * W < row.end) {
    if (int(unsigned(p) % Team::kPart) == team.lane()) visit(row.base() + p * W, int(unsigned(p) / Team::kPart));
    p = row.torn ? p + Team::kPart : p < last ? last : last + 1;
  }
}

template <class First, class... Others> LOSSC_FN const First& first_of(const First& first, const Others&...) { return first; }

// Opens a row, and starts the copies of its entries. The leaf comes first; another row is given those that are open.
template <class Team, class T, class... Open>
LOSSC_FN auto open(const Team& team, bool reads, const T* p, index place, index vocab, const Open&... before) {
  constexpr int W = [] {
    int widths[] = {Open::kWidth..., kPacket<T>};
    return widths[0];
  }();
  auto row = run_of<Team, W, sizeof...(Open) == 0>(team, p, place, vocab);
  if constexpr (sizeof...(Open) > 0) {
    const int skew = first_of(before...).skew;
    row.torn = row.skew != skew;
    row.skew = skew;
    row.packets = first_of(before...).packets;
  }
  using Own = decltype(row);
  row.kept = reinterpret_cast<typename Own::Piece*>(team.rows() + (0 + ... + (Team::kThreads * row.rounds * Open::kBytes))) + team.self.thread();
  if (Team::kResident && reads) {
    if (!row.torn)
      each_whole<4>(team, row, row.first, [&](const T* from, int k) {
        for (int j = 0; j < Own::kPieces; ++j)
          team.self.template copy<sizeof(typename Own::Piece), Own::kPieces == 1>(row.piece(team, k, j), from + j * Own::kPieceWidth);
      });
    // Copies entry by entry come last, so that no other copy waits for them.
    each_cut(team, row, [&](int e, int k) {
      if constexpr (sizeof...(Open) > 0) {
        // A torn row consists of nothing else.
        for (int j = 0; j < Own::kPieces; ++j) write(row.piece(team, k, j), 0, row.template gather<Own::kPieceWidth>(e + j * Own::kPieceWidth));
      } else {
        LOSSC_UNROLL(1)
        for (int i = 0; i < W; ++i) write(row.piece(team, k, 0)->v, i, row.entry(e + i));
      }
    });
  }
  return row;
}

// Opens the row that all tokens share.
template <class Team, class T, class... Open>
LOSSC_FN auto open_shared(const Team& team, bool reads, const T* p, index vocab, const Open&... before) {
  return open(team, reads, p, 0, vocab, before...);
}

// The row of the entries' numbers, which lies nowhere: cut into packets as the leaf is.
template <class Leaf> struct EntryNumbers : Leaf {
  static constexpr bool kIsLeaf = false;
  static constexpr int kBytes = 0;
};
template <class Team, class Leaf, class... Open>
LOSSC_FN EntryNumbers<Leaf> open_indices(const Team&, bool, index, const Leaf& leaf, const Open&...) { return {leaf}; }
template <class Leaf> LOSSC_FN float at(const EntryNumbers<Leaf>&, index i) { return float(i); }
template <class Team, class Leaf> LOSSC_FN Packet<float, Leaf::kWidth> packet(const Team&, const EntryNumbers<Leaf>&, int e, int) {
  Packet<float, Leaf::kWidth> p;
  for (int i = 0; i < Leaf::kWidth; ++i) p.v[i] = float(e + i);
  return p;
}
template <class Team, class Leaf> LOSSC_FN float entry(const Team&, const EntryNumbers<Leaf>&, int e, int, int i) { return float(e + i); }

template <class Team, class T, int W, bool LEAF>
LOSSC_FN Packet<T, W> packet(const Team& team, const Row<T, W, LEAF>& row, int e, int k) {
  using Own = Row<T, W, LEAF>;
  if constexpr (!Team::kResident) {
    return row.whole(e) ? read_as_packet<Packet<T, W>>(row.first, e) : row.template gather<W>(e);
  } else {
    Values<Own::kPieces, typename Own::Piece> pieces;
    for (int j = 0; j < Own::kPieces; ++j) pieces.v[j] = read(row.piece(team, k, j), 0);
    return __builtin_bit_cast(Packet<T, W>, pieces);
  }
}

LOSSC_FN unsigned word_of(float x) { return as_bits(x); }
template <class T> LOSSC_FN unsigned word_of(T x) { return x.bits; }

// One entry of a packet.
template <class Team, class T, int W, bool LEAF>
LOSSC_FN float entry(const Team& team, const Row<T, W, LEAF>& row, int e, int k, int i) {
  constexpr int kPieceWidth = Row<T, W, LEAF>::kPieceWidth;
  return widen(Team::kResident ? read(row.piece(team, k, i / kPieceWidth)->v, i % kPieceWidth) : row.entry(e + i));
}

// The entries of a packet, in float32.
template <class T, int W> LOSSC_FN Values<W, float> widened(const Packet<T, W>& p) {
  Values<W, float> r;
  for (int i = 0; i < W; ++i) r.v[i] = widen(p.v[i]);
  return r;
}
// Two halves are taken from one word, each by one instruction.
template <int W> LOSSC_FN Values<W, float> widened(const Packet<bf16, W>& p) {
  const auto words = __builtin_bit_cast(Values<W / 2, unsigned>, p);
  Values<W, float> r;
  for (int i = 0; i < W / 2; ++i) {
    r.v[2 * i] = as_float(words.v[i] << 16);
    r.v[2 * i + 1] = as_float(words.v[i] & 0xffff0000u);
  }
  return r;
}

}  // namespace lossc
