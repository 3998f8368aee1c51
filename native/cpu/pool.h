// Threads that share the pieces of one job. An atomic counter hands out the pieces.
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
  /// The calling thread is one of them, so that a pool of one starts none. The pool is smaller where the system refuses to start threads.
  explicit Pool(int threads);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  /// Ends the other threads. The pool then works on the calling thread.
  void stop();

  int threads() const { return static_cast<int>(helpers_.size()) + 1; }

  /// When the other threads are woken: at once, or when the time of the first grain shows that the rest is worth a wake-up.
  enum class Wake { whereWorth, atOnce };

  /// Calls `piece(begin, end, thread)` until [0, total) is covered. Every begin is a multiple of the grain. Rethrows the exception of a piece. Throws
  /// ABORTED where the interrupt was raised before the job was done.
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
  /// Whether all threads were started. After a failure, those that were started remain.
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
