#include "emulator/races.h"

#include <algorithm>

#include "emulator/lane.h"

namespace lossc::emulator {
namespace {

bool sameLane(const Stamp& a, const Stamp& b) { return a.block == b.block && a.thread == b.thread; }
std::uint32_t bit(const Stamp& at) { return 1u << (at.thread % warpSize); }
std::string name(const Stamp& at) { return "thread " + std::to_string(at.thread) + " of block " + std::to_string(at.block); }

}  // namespace

Known joined(const Known& a, const Known& b) {
  if (a == b || b == nullptr) return a;
  if (a == nullptr) return b;
  auto all = std::make_shared<std::map<std::pair<int, int>, Stamp>>(*a);
  for (const auto& [lane, at] : *b) {
    auto& known = (*all)[lane];
    // Every counter of a lane only grows.
    if (known.fences < at.fences) known = at;
  }
  return all;
}

void Races::begin(const std::vector<std::uint64_t>& arguments) {
  pages_.clear();
  released_.clear();
  arguments_ = arguments;
  bytesRead_ = bytesWritten_ = 0;
}

void Races::enter(int cluster, const unsigned char* shared, std::size_t bytes, std::size_t stride, int first) {
  cluster_ = cluster;
  first_ = first;
  shared_ = reinterpret_cast<std::uintptr_t>(shared);
  sharedBytes_ = bytes;
  stride_ = stride;
  sharedCells_.assign(bytes / cellBytes, Cell{});
}

Races::Cell& Races::cell(std::uintptr_t address) {
  if (isShared(address)) return sharedCells_[(address - shared_) / cellBytes];
  auto& page = pages_[address / pageBytes];
  if (page == nullptr) page = std::make_unique<Page>();
  return page->cells[address % pageBytes / cellBytes];
}

/// Whether an access is ordered before accesses of a lane that has acquired `view`.
bool Races::covers(const Stamp& view, const Stamp& at) const {
  if (at.block == view.block) {
    if (at.thread == view.thread && at.fences < view.fences) return true;
    if (at.thread / warpSize == view.thread / warpSize && at.warp < view.warp) return true;
    if (at.barriers < view.barriers) return true;
  }
  return at.block / cluster_ == view.block / cluster_ && at.arrivals < view.waits;
}

bool Races::before(const Stamp& at, const Standing& lane) const {
  if (sameLane(at, lane.now) || covers(lane.now, at)) return true;
  if (lane.known == nullptr) return false;
  const int first = at.block / cluster_ * cluster_;
  for (auto known = lane.known->lower_bound({first, 0}); known != lane.known->end() && known->first.first < first + cluster_; ++known)
    if (covers(known->second, at)) return true;
  return false;
}

/// A fence: acquires the positions that atomics have read, and collects those that the next atomics release.
void Races::fence(Standing& lane) const {
  lane.known = joined(lane.known, lane.seen);
  lane.seen = nullptr;
  ++lane.now.fences;
  auto own = std::make_shared<std::map<std::pair<int, int>, Stamp>>();
  (*own)[{lane.now.block, lane.now.thread}] = lane.now;
  lane.fenced = joined(lane.known, own);
}

std::string Races::access(Standing& lane, const void* where, int bytes, Touch how) {
  if (how == Touch::fence) {
    fence(lane);
    return {};
  }
  const auto start = reinterpret_cast<std::uintptr_t>(where);
  const bool global = !isShared(start);
  for (auto address = start; address < start + static_cast<std::size_t>(bytes); address += cellBytes) {
    auto& it = cell(address);
    if (it.reserved) return describe(lane, how, address, it.writer, true) + " by a copy that it has not waited for";
    // Atomics are ordered among themselves.
    const bool free = it.atomic && (how == Touch::atomic || sameLane(it.writer, lane.now));
    if (it.written && !free && !before(it.writer, lane)) return describe(lane, how, address, it.writer, true);
    if (how == Touch::read) {
      if (global && !it.everRead) bytesRead_ += cellBytes, it.everRead = true;
      auto at = lane.now;
      at.thread -= at.thread % warpSize;
      const auto same = std::find_if(it.readers.begin(), it.readers.end(), [&](const Readers& readers) {
        const auto& r = readers.at;
        return r.block == at.block && r.thread == at.thread && r.warp == at.warp && r.barriers == at.barriers && r.arrivals == at.arrivals &&
               r.fences == at.fences;
      });
      if (same != it.readers.end()) {
        same->lanes |= bit(lane.now);
        continue;
      }
      // Order is transitive: an access after this reader is after the readers before it.
      it.readers.erase(std::remove_if(it.readers.begin(), it.readers.end(),
                                      [&](const Readers& readers) {
                                        auto each = readers.at;
                                        for (int i = 0; i < warpSize; ++i, ++each.thread)
                                          if ((readers.lanes >> i & 1) != 0 && !before(each, lane)) return false;
                                        return true;
                                      }),
                       it.readers.end());
      it.readers.push_back({at, bit(lane.now)});
    } else {
      for (const auto& readers : it.readers) {
        auto each = readers.at;
        for (int i = 0; i < warpSize; ++i, ++each.thread)
          if ((readers.lanes >> i & 1) != 0 && !before(each, lane)) return describe(lane, how, address, each, false);
      }
      it.readers.clear();
      it.writer = lane.now;
      it.written = true;
      it.atomic = how == Touch::atomic;
      if (global && !it.everWritten) bytesWritten_ += cellBytes, it.everWritten = true;
    }
  }
  if (how == Touch::atomic) {
    auto& released = released_[start];
    lane.seen = joined(lane.seen, released);
    released = joined(released, lane.fenced);
  }
  return {};
}

void Races::reserve(const void* where, int bytes, bool reserved) {
  const auto start = reinterpret_cast<std::uintptr_t>(where);
  for (auto address = start; address < start + static_cast<std::size_t>(bytes); address += cellBytes) cell(address).reserved = reserved;
}

std::string Races::describe(const Standing& lane, Touch how, std::uintptr_t address, const Stamp& other, bool wrote) const {
  return "there is a race for " + place(address) + ": " + name(lane.now) + (how == Touch::read ? " reads" : " writes") + " what " + name(other) +
         (wrote ? " writes" : " reads") + ", and nothing puts the two in order";
}

std::string Races::place(std::uintptr_t address) const {
  if (isShared(address)) {
    const auto offset = address - shared_;
    return "byte " + std::to_string(offset % stride_) + " of the shared memory of block " +
           std::to_string(first_ + static_cast<int>(offset / stride_));
  }
  // The pointer argument that the address belongs to.
  std::size_t nearest = arguments_.size();
  for (std::size_t i = 0; i < arguments_.size(); ++i)
    if (arguments_[i] <= address && (nearest == arguments_.size() || arguments_[i] > arguments_[nearest])) nearest = i;
  if (nearest == arguments_.size()) return "global memory";
  return "byte " + std::to_string(address - arguments_[nearest]) + " of global memory from argument " + std::to_string(nearest) + " on";
}

}  // namespace lossc::emulator
