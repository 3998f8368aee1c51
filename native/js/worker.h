// The one thread of a device. Tasks run on it in the order of their submission and settle their promises on the JavaScript thread.
#pragma once

#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/fault.h"

namespace lossc {

/// Asynchronous work of a device. Made and destroyed on the JavaScript thread.
class Task {
 public:
  explicit Task(Napi::Env env) : deferred_(Napi::Promise::Deferred::New(env)) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  Napi::Promise promise() const { return deferred_.Promise(); }
  /// On the thread of the device.
  void perform(const std::atomic<bool>& stopping) noexcept;
  /// On the JavaScript thread.
  void settle(Napi::Env env);

 protected:
  virtual void execute(const std::atomic<bool>& stopping) = 0;
  /// The value that the promise resolves to. An exception rejects the promise.
  virtual Napi::Value result(Napi::Env env) { return env.Undefined(); }

 private:
  Napi::Promise::Deferred deferred_;
  std::unique_ptr<Fault> fault_;
};

class Worker {
 public:
  explicit Worker(Napi::Env env);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  /// JavaScript thread. Keeps the process alive until the task has settled.
  Napi::Promise submit(std::unique_ptr<Task> task);
  /// JavaScript thread. Number of tasks that have not settled.
  std::size_t pending() const { return outbox_->pending; }
  /// JavaScript thread. Leaves the freeing, which can take long, to the worker's thread, between two tasks.
  void discard(std::shared_ptr<void> garbage);
  /// JavaScript thread. Frees all garbage now, and waits for garbage that the worker's thread is freeing.
  void collect();
  /// Number of times that garbage was freed.
  std::uint64_t collections() const { return collections_.load(); }
  /// JavaScript thread. Interrupts the running task, drops the waiting ones and joins the thread. Nothing may be submitted after it.
  void stop();

 private:
  /// Finished tasks. The thread-safe function may outlive the worker, so it shares ownership.
  struct Outbox {
    std::mutex mutex;
    std::vector<std::unique_ptr<Task>> tasks;
    napi_threadsafe_function wake = nullptr;
    /// JavaScript thread only.
    std::size_t pending = 0;
  };

  void loop();
  static void teardown(void* worker);
  static void deliver(napi_env env, napi_value callback, void* context, void* data);

  Napi::Env env_;
  std::shared_ptr<Outbox> outbox_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::unique_ptr<Task>> tasks_;
  std::vector<std::shared_ptr<void>> garbage_;
  /// The thread is freeing garbage that it took out of `garbage_`.
  bool freeing_ = false;
  std::atomic<std::uint64_t> collections_{0};
  std::condition_variable freed_;
  std::atomic<bool> stopping_{false};
  /// Something was submitted; read without the lock.
  std::atomic<bool> nudged_{false};
  std::thread thread_;
};

}  // namespace lossc
