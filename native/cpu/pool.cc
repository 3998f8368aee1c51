#include "cpu/pool.h"

#include <algorithm>
#include <chrono>

#include "core/relax.h"

namespace lossc {
namespace {

using Clock = std::chrono::steady_clock;

/// A job shorter than this is done before a helper wakes.
constexpr auto worthWaking = std::chrono::microseconds(30);
/// How long a helper polls for the next job before it sleeps. The commands of a program follow one another closely.
constexpr auto pollTime = std::chrono::microseconds(30);
/// Pieces per thread: enough to balance threads that other processes slow down, and to notice an abort soon.
constexpr std::int64_t piecesPerThread = 32;

}  // namespace

struct Pool::Job {
  const std::int64_t total;
  const std::int64_t chunk;
  const Interrupt& interrupt;
  const Visit visit;
  void* const context;
  std::atomic<std::int64_t> next;
  std::atomic<bool> failed{false};
  std::exception_ptr error{};
  std::mutex errorMutex{};

  void work(int thread) {
    while (!failed.load(std::memory_order_relaxed) && !interrupt.raised()) {
      const auto begin = next.fetch_add(chunk, std::memory_order_relaxed);
      if (begin >= total) return;
      try {
        visit(context, begin, std::min(begin + chunk, total), thread);
      } catch (...) {
        const std::lock_guard lock(errorMutex);
        if (!error) error = std::current_exception();
        failed.store(true, std::memory_order_relaxed);
      }
    }
  }
};

Pool::Pool(int threads) {
  // Where the system refuses, half of the started threads are kept, since the rest of the process starts threads too.
  for (int helpers = threads - 1; !start(helpers);) {
    helpers = static_cast<int>(helpers_.size()) / 2;
    stop();
  }
}

Pool::~Pool() { stop(); }

bool Pool::start(int helpers) {
  quitting_ = false;
  helpers_.reserve(static_cast<std::size_t>(helpers));
  try {
    for (int thread = 1; thread <= helpers; ++thread) helpers_.emplace_back([this, thread] { help(thread); });
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void Pool::stop() {
  {
    const std::lock_guard lock(mutex_);
    quitting_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (auto& helper : helpers_) helper.join();
  helpers_.clear();
}

void Pool::visit(std::int64_t total, std::int64_t grain, const Interrupt& interrupt, Visit visit, void* context, Wake wake) {
  if (total <= 0) return;
  interrupt.check();
  // The time of the first grain decides whether the rest is worth a wake-up.
  const auto start = Clock::now();
  const auto first = wake == Wake::atOnce ? 0 : std::min(grain, total);
  if (first > 0) visit(context, 0, first, 0);
  if (first == total) return;
  const auto rest = total - first;
  const auto grains = (rest + grain - 1) / grain;
  const bool shared = !helpers_.empty() && grains > (first == 0 ? 1 : 0) && (wake == Wake::atOnce || (Clock::now() - start) * grains > worthWaking);

  const auto pieces = piecesPerThread * threads();
  Job job{total, (grains + pieces - 1) / pieces * grain, interrupt, visit, context, first};
  if (shared) {
    {
      const std::lock_guard lock(mutex_);
      job_ = &job;
      generation_.fetch_add(1);
    }
    wake_.notify_all();
  }
  job.work(0);
  if (shared) {
    std::unique_lock lock(mutex_);
    job_ = nullptr;
    done_.wait(lock, [this] { return active_ == 0; });
  }
  if (job.error) std::rethrow_exception(job.error);
  // Pieces remain only after an interrupt.
  if (job.next.load(std::memory_order_relaxed) < total) interrupt.check();
}

void Pool::help(int thread) {
  std::uint64_t seen = 0;
  for (;;) {
    const auto until = Clock::now() + pollTime;
    while (generation_.load(std::memory_order_relaxed) == seen && Clock::now() < until) relax();
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return generation_.load() != seen; });
    seen = generation_.load();
    if (quitting_) return;
    if (job_ == nullptr) continue;
    Job& job = *job_;
    ++active_;
    lock.unlock();
    job.work(thread);
    lock.lock();
    if (--active_ == 0) done_.notify_all();
  }
}

}  // namespace lossc
