#include "js/worker.h"

#include <chrono>
#include <new>
#include <string>
#include <system_error>

#include "core/host.h"
#include "core/relax.h"
#include "js/errors.h"

namespace lossc {
namespace {

using Clock = std::chrono::steady_clock;

/// How long the thread polls for the next task before it sleeps. A caller that awaits one program and submits the next then pays for no wake-up.
constexpr auto pollTime = std::chrono::microseconds(300);

}  // namespace

void Task::perform(const std::atomic<bool>& stopping) noexcept {
  try {
    execute(stopping);
  } catch (const Fault& fault) {
    fault_ = std::make_unique<Fault>(fault);
  } catch (const std::bad_alloc&) {
    fault_ = std::make_unique<Fault>(Code::deviceOutOfMemory, "out of host memory");
  } catch (const std::exception& error) {
    fault_ = std::make_unique<Fault>(Code::deviceFault, error.what());
  }
}

void Task::settle(Napi::Env env) {
  Napi::Value value;
  try {
    value = throwing(env, [&] { return fault_ ? throw Fault(*fault_) : result(env); });
  } catch (const Napi::Error& error) {
    deferred_.Reject(error.Value());
    return;
  }
  deferred_.Resolve(value);
}

Worker::Worker(Napi::Env env) : env_(env), outbox_(std::make_shared<Outbox>()) {
  auto* share = new std::shared_ptr<Outbox>(outbox_);
  const auto free = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Outbox>*>(data); };
  const auto name = Napi::String::New(env, "lossc device");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, share, free, outbox_.get(), deliver, &outbox_->wake) != napi_ok) {
    delete share;
    throw Napi::Error::New(env);
  }
  napi_unref_threadsafe_function(env, outbox_->wake);
  try {
    thread_ = std::thread([this] { loop(); });
  } catch (const std::system_error& error) {
    napi_release_threadsafe_function(outbox_->wake, napi_tsfn_release);
    throw Fault(Code::deviceFault, std::string("a thread cannot be started (") + error.what() +
                                       "): the process is at the limit of its threads or its memory (ulimit -u, ulimit -v, or the container's)");
  }
  napi_add_env_cleanup_hook(env, teardown, this);
}

Worker::~Worker() {
  stop();
  if (outbox_->wake != nullptr) {
    napi_remove_env_cleanup_hook(env_, teardown, this);
    napi_release_threadsafe_function(outbox_->wake, napi_tsfn_release);
  }
}

/// The environment ends. It closes the thread-safe function itself, so the worker must not touch it any more.
void Worker::teardown(void* data) {
  auto* worker = static_cast<Worker*>(data);
  worker->stop();
  worker->outbox_->wake = nullptr;
}

Napi::Promise Worker::submit(std::unique_ptr<Task> task) {
  const auto promise = task->promise();
  if (outbox_->pending++ == 0) napi_ref_threadsafe_function(env_, outbox_->wake);
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    nudged_.store(true, std::memory_order_relaxed);
  }
  ready_.notify_one();
  return promise;
}

void Worker::discard(std::shared_ptr<void> garbage) {
  if (garbage == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_.load()) return;  // freed here, on return
    garbage_.push_back(std::move(garbage));
  }
  ready_.notify_one();
}

void Worker::collect() {
  std::vector<std::shared_ptr<void>> garbage;
  std::unique_lock lock(mutex_);
  garbage.swap(garbage_);
  // Waits for garbage that the thread is freeing already.
  freed_.wait(lock, [this] { return !freeing_; });
  lock.unlock();
  if (!garbage.empty()) collections_.fetch_add(1);
}

void Worker::stop() {
  std::deque<std::unique_ptr<Task>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_.store(true);
    nudged_.store(true, std::memory_order_relaxed);
    dropped.swap(tasks_);
  }
  ready_.notify_one();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(outbox_->mutex);
  outbox_->tasks.clear();
  garbage_.clear();
}

void Worker::loop() {
  // With one core, polling would only delay the thread that submits.
  const bool alone = host::cores() == 1;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!alone && tasks_.empty() && garbage_.empty()) {
      lock.unlock();
      const auto until = Clock::now() + pollTime;
      while (!nudged_.load(std::memory_order_relaxed) && Clock::now() < until) relax();
      lock.lock();
    }
    nudged_.store(false, std::memory_order_relaxed);
    ready_.wait(lock, [this] { return stopping_.load() || !tasks_.empty() || !garbage_.empty(); });
    if (stopping_.load()) return;
    if (!garbage_.empty()) {
      std::vector<std::shared_ptr<void>> garbage;
      garbage.swap(garbage_);
      freeing_ = true;
      lock.unlock();
      garbage.clear();
      lock.lock();
      freeing_ = false;
      collections_.fetch_add(1);
      freed_.notify_all();
      continue;
    }
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task->perform(stopping_);
    {
      const std::lock_guard outgoing(outbox_->mutex);
      outbox_->tasks.push_back(std::move(task));
    }
    napi_call_threadsafe_function(outbox_->wake, nullptr, napi_tsfn_nonblocking);
    lock.lock();
  }
}

void Worker::deliver(napi_env env, napi_value, void* context, void*) {
  // The environment has ended: there is no promise to settle.
  if (env == nullptr) return;
  auto* outbox = static_cast<Outbox*>(context);
  std::vector<std::unique_ptr<Task>> tasks;
  {
    const std::lock_guard lock(outbox->mutex);
    tasks.swap(outbox->tasks);
  }
  if (tasks.empty()) return;
  outbox->pending -= tasks.size();
  if (outbox->pending == 0 && outbox->wake != nullptr) napi_unref_threadsafe_function(env, outbox->wake);
  // A task that fails to settle does not keep the others from settling.
  Napi::Error last;
  for (auto& task : tasks) {
    try {
      task->settle(env);
    } catch (const Napi::Error& error) {
      last = error;
    }
  }
  if (!last.IsEmpty()) last.ThrowAsJavaScriptException();
}

}  // namespace lossc
