// Threads that share the pieces of one job, taken one after another by an atomic counter.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/program.h"

namespace lossc {

class Pool {
 public:
  /// The calling thread is one of them: a pool of one starts none. It has fewer where the system starts no more.
  explicit Pool(int threads);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  /// Ends the other threads; the calling one goes on alone.
  void stop();

  int threads() const { return static_cast<int>(helpers_.size()) + 1; }

  /// Whether the other threads are woken: at once, or where the first grain has taken so long that the rest is worth it.
  enum class Wake { whereWorth, atOnce };

  /// Calls `piece(begin, end, thread)` until [0, total) is covered; every begin is a multiple of the grain. Throws what a piece threw, and ABORTED
  /// where the interrupt was raised before all was done.
  template <typename Piece>
  void visit(std::int64_t total, std::int64_t grain, const Interrupt& interrupt, Piece&& piece, Wake wake = Wake::whereWorth) {
    visit(total, grain, interrupt, [](void* context, std::int64_t begin, std::int64_t end, int thread) {
      (*static_cast<std::remove_reference_t<Piece>*>(context))(begin, end, thread);
    }, &piece, wake);
  }

 private:
  using Visit = void (*)(void* context, std::int64_t begin, std::int64_t end, int thread);
  struct Job;

  void visit(std::int64_t total, std::int64_t grain, const Interrupt& interrupt, Visit visit, void* context, Wake wake);
  /// Whether all were started; those that were are there all the same.
  bool start(int helpers);
  void help(int thread);

  std::vector<std::thread> helpers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  /// Read without the lock by helpers that wait for the next job of a program.
  std::atomic<std::uint64_t> generation_{0};
  Job* job_ = nullptr;
  int active_ = 0;
  bool quitting_ = false;
};

}  // namespace lossc
